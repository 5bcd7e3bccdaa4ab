"""Reports that can be filed: an examination in words and pictures, as JSON and as one page. Runs no network."""
