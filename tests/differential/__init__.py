"""A differential tester: random schedules of changes on a source, replicated by plm, compared byte for byte.

features    what may occur in a schedule, by name
schedule    a schedule and its JSON form
values      random documents: every BSON type, odd field names, keys of every type
writes      random insert, update, delete, findAndModify and pipeline commands
structure   random DDL commands, and the model of what exists
generate    a whole schedule from one seed
execute     running a schedule against real servers and a real plm
behind      what happened on the source behind the end of replication, from its oplog
compare     both sides, byte for byte
shrink      the smallest schedule that still differs
campaign    many seeds, and what is printed about them
"""
