"""What the command line adds to the stages: default places, tables, the report, the demo. Imported by cli.py alone."""
