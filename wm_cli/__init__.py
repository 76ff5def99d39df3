"""The command line: verbs, tables, the report, the demo, and the generated documents. Imported by cli.py alone."""
