// trees_scanned says that rows are read, as the threads that build a tree do between its
// states being made and being filled; trees_built that none is built any more.
void trees_scanned(void);
void trees_built(void);
