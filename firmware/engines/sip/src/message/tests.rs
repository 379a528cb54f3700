//! Reading and writing, promise by promise.
