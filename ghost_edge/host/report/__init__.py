"""Reports of converted models: report.md, report.html, and several runs side by side."""
