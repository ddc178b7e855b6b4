"""Plain sentences, by who reads them when."""
