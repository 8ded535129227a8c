# The binding kit: a program that knows nothing but the installed caio.json can use the library.
# shellcheck shell=bash

binds() {
    python3 - "$($PKG_CONFIG --variable=datadir caio)/caio.json" <<'PROGRAM'
import ctypes, json, sys

kit = json.load(open(sys.argv[1]))
kinds = {"int": ctypes.c_int, "void": None, "size_t": ctypes.c_size_t}
for bits in 8, 16, 32, 64:
    kinds[f"int{bits}_t"] = getattr(ctypes, f"c_int{bits}")
    kinds[f"uint{bits}_t"] = getattr(ctypes, f"c_uint{bits}")
structs = {}

def kind_of(text):
    return ctypes.c_void_p if text.endswith("*") else kinds[text]

for name in "caio_options", "caio_stats", "caio_op", "caio_event":
    described = kit["structs"][name]
    fields = [(f["name"], kind_of(f["type"]) * f["count"] if "count" in f else kind_of(f["type"])) for f in described["fields"]]
    structs[name] = type(name, (ctypes.Structure,), {"_fields_": fields})
    assert ctypes.sizeof(structs[name]) == described["size"], name
    for f in described["fields"]:
        assert getattr(structs[name], f["name"]).offset == f["offset"] and f["doc"]["text"], f

lib = ctypes.CDLL(kit["library"])
for name, described in kit["functions"].items():
    function = getattr(lib, name)
    function.restype = kind_of(described["returns"])
    function.argtypes = [kind_of(p["type"]) for p in described["parameters"]]
    assert "text" in described["doc"], name
for name in "caio_ctx_new", "caio_ctx_free", "caio_ctx_poll", "caio_ctx_wait":
    assert "ownership" in kit["functions"][name]["doc"], name
version = kit["constants"]
assert lib.caio_version() == sum(version[f"CAIO_VERSION_{part}"]["value"] << shift for part, shift in (("MAJOR", 16), ("MINOR", 8), ("PATCH", 0)))

ctx = ctypes.c_void_p()
assert lib.caio_ctx_new(None, ctypes.byref(ctx)) == 0
op, event = structs["caio_op"](user_data=7, opcode=kit["constants"]["CAIO_OP_NOP"]["value"]), structs["caio_event"]()
assert lib.caio_ctx_submit(ctx, ctypes.byref(op), 1) == 1
assert lib.caio_ctx_wait(ctx, ctypes.byref(event), 1, 1, -1) == 1 and (event.user_data, event.result) == (7, 0)
lib.caio_ctx_free(ctx)
PROGRAM
}
if needs "the binding kit" python3 have python3; then check "caio.json describes the library" binds; fi
