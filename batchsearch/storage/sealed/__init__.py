"""What is sealed in an output folder, and whether the disk has it: one definition for whoever opens or reads.

`inventory` is what a ledger says, `difference` compares that with the files, `unsealed` finds what lies
beside them and tells what a kill can have left from what this ledger cannot know. Nothing here deletes a
part: what has to make room is moved into `set-aside/`.
"""
