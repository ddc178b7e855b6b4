"""Three processes of the program on one PostgreSQL, and all that can happen to them and to what lies between."""
