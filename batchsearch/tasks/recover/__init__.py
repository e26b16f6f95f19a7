"""A ledger made anew from the parts of an output, so that nothing that was paid for is paid for again.

`finding` looks for every part that an output folder can hold, wherever an interruption has left it, and reads
it from end to end; `choosing` decides for each row which of its outcomes is the latest one (pure);
`storage.ledger.salvage` reads what an older or damaged ledger still says; `placing` puts the files in their
places; `entries_of_parts` reads back what the new ledger notes; `recovery` writes it last, so that a kill on
the way leaves an output that can be recovered again.
"""
