//! Rolling windows over columns.
