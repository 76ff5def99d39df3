"""The program's interface: instructions, accounts, errors; IDL and codec follow from it."""
