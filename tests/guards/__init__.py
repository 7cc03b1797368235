"""What guards against a fault is taken out of the program, one guard at a time, and tests have to notice.

table       the guards: what each is for, its code, and the tests that fail without it
mutant      a copy of the program from which each guard can be taken out
run         builds that, and runs the tests with and without each guard
"""
