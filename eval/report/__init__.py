"""From result files to what people read: Markdown tables, plots, one HTML page."""
