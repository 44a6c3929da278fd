//! Plugin supervision: inspection, lock file, signatures, workers
