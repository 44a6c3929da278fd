//! Public gRPC API of Bindery, generated from bindery/v1
