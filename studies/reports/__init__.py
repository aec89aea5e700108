"""What people look at: terminal tables, pages, charts."""
