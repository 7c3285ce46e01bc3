// Searching for texts, see search_linux.c.

// find returns where in a text a part begins for the first time; nowhere, if it
// is not in it.
size_t find(bytes text, bytes part);

static const size_t nowhere = SIZE_MAX;
