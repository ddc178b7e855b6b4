"""What survives: tables, transactions and queries. Imports nothing of the rest of the program."""
