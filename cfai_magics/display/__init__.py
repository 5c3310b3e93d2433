"""Display answers, tables and reports."""
