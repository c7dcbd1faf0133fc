"""What each section of the page shows, prepared from tables and arrays and free of HTML."""
