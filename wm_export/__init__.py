"""QNet -> blob, manifest, Rust and ONNX, and the tools that build and run the program made of them."""
