"""Reads libchat.h with cffi, and compares every struct with what the C compiler makes of it, and
with a ctypes.Structure of the same fields. Then calls the library through both.

usage: layout.py HEADER LIBRARY C-COMPILER
"""

import ctypes
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import cffi

CTYPES = {
    "int32_t": ctypes.c_int32,
    "int64_t": ctypes.c_int64,
    "uint8_t": ctypes.c_uint8,
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
    "size_t": ctypes.c_size_t,
    "char": ctypes.c_char,
}


def main(header: Path, library: str, compiler: str) -> None:
    text = header.read_text()
    ffi = cffi.FFI()
    ffi.cdef(preprocessed(text, compiler))
    structs = re.findall(r"^typedef struct (\w+) \{", text, re.MULTILINE)
    assert len(structs) > 10, structs
    compiled = compiler_layouts(ffi, structs, header, compiler)
    for name in structs:
        parsed = cffi_layout(ffi, name)
        held = sum(ffi.sizeof(field.type) for _, field in ffi.typeof(name).fields)
        assert held == parsed[0], f"{name}: {parsed[0] - held} bytes of padding"
        assert parsed == compiled[name], f"{name}: cffi {parsed}, compiler {compiled[name]}"
        built = ctypes_layout(ctypes_struct(ffi.typeof(name)))
        assert built == compiled[name], f"{name}: ctypes {built}, compiler {compiled[name]}"
    call(ffi, library)
    print(f"{len(structs)} structs")


def preprocessed(text: str, compiler: str) -> str:
    """The declarations alone: cffi knows the types of stdint.h and stddef.h by itself."""
    text = re.sub(r"^#include.*$", "", text, flags=re.MULTILINE)
    command = [compiler, "-E", "-P", "-x", "c", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def cffi_layout(ffi: cffi.FFI, name: str) -> list[int]:
    """Its size, then the offset of each field."""
    fields = ffi.typeof(name).fields
    return [ffi.sizeof(name), *(field.offset for _, field in fields)]


def compiler_layouts(
    ffi: cffi.FFI, structs: list[str], header: Path, compiler: str
) -> dict[str, list[int]]:
    lines = ["#include <stdio.h>", f'#include "{header.resolve()}"', "int main(void) {"]
    for name in structs:
        fields = [field for field, _ in ffi.typeof(name).fields]
        parts = [f"sizeof({name})", *(f"offsetof({name}, {field})" for field in fields)]
        lines.append(f'printf("{name}{" %zu" * len(parts)}\\n", {", ".join(parts)});')
    lines.append("return 0; }")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "layout")
        source = program.with_suffix(".c")
        source.write_text("\n".join(lines))
        subprocess.run([compiler, source, "-o", program], check=True)
        output = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in output.splitlines()]
    return {name: [int(number) for number in numbers] for name, *numbers in rows}


def ctypes_struct(ctype: "cffi.FFI.CType") -> type[ctypes.Structure]:
    fields = [(name, ctypes_type(field.type)) for name, field in ctype.fields]
    return type(ctype.cname, (ctypes.Structure,), {"_fields_": fields})


def ctypes_type(ctype: "cffi.FFI.CType") -> type:
    match ctype.kind:
        case "pointer" | "function":
            return ctypes.c_void_p
        case "array":
            return ctypes_type(ctype.item) * ctype.length
        case "struct":
            return ctypes_struct(ctype)
        case _:
            return CTYPES[ctype.cname]


def ctypes_layout(struct: type[ctypes.Structure]) -> list[int]:
    offsets = [getattr(struct, name).offset for name, _ in struct._fields_]
    return [ctypes.sizeof(struct), *offsets]


def call(ffi: cffi.FFI, library: str) -> None:
    """`d0825bc5` is in tests/wire/thread_hash.json."""
    by_cffi = ffi.dlopen(library)
    out = ffi.new("char[9]")
    assert by_cffi.libchat_thread_short(b"demo", b"plan", out, ffi.NULL) == 0
    assert ffi.string(out) == b"d0825bc5", ffi.string(out)
    by_ctypes = ctypes.CDLL(library)
    by_ctypes.libchat_version.restype = ctypes.c_char_p
    assert by_ctypes.libchat_version() == ffi.string(by_cffi.libchat_version())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
