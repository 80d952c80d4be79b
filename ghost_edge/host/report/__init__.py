"""report.html: one file that shows what a conversion did, and one that shows several side by side."""
