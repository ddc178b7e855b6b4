"""Files of strangers' servers: fetched within bounds, once for all who want them, and again while there is hope."""
