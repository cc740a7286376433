"""The reconciler: small checks that compare what is said with what is so (design.md §6)."""
