// What is compared. ctest2 reads this file and those it names: extern blocks, plain repr(C) structs, constants, aliases.

#[path = "../../../src/sys/linux/aio_abi.rs"]
pub mod aio_abi;
#[path = "functions.rs"]
pub mod functions;
#[path = "../../../src/capi/types.rs"]
pub mod types;
