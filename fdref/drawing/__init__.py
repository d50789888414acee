"""Pictures and pages; `fdref.show` is the function."""
