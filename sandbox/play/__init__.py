"""`coverbot play`: a page in the browser on which one plays with the real bot, between the stand-ins."""
