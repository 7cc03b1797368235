"""A chaos tester: replica sets of three members, random load, a random fault every few seconds, both sides compared.

plan        what a seed decides: load, settings, faults
load        writers that do not mind that servers go away
daemons     one plm at work, and perhaps another one that stands by
heart       beats that show whether events flow, and how soon again after a fault
faults      doing a fault, and undoing it
execute     one run against real servers
machine     what a busy machine changes
campaign    many runs, and what is printed about them
"""
