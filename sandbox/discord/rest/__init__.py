"""The REST side of the stand-in: what each request goes through, the routes, faults on demand, and the judge."""
