"""What flexunet compare is made of: runs of the store, cells of them, statistics, tables, page."""
