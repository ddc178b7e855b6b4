"""Results and how they are posted, and what is made good where nobody lived to answer."""
