"""No module unpickles, evaluates, or imports by a name what came as data."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"

FORBIDDEN_IMPORTS = {
    "pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle", "xml",
}  # fmt: skip
FORBIDDEN_CALLS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "torch.load", "torch.hub.load",
    "yaml.unsafe_load", "yaml.full_load", "yaml.load_all", "tempfile.mktemp", "pd.read_pickle", "pandas.read_pickle",
}  # fmt: skip
LOADS_MODULES = {"cli/program.py", "metrics/custom.py", "models/attention_kernels.py", "training/loggers.py"}
"""Where a module is imported by a name: the verbs, a metric of the user's own, kernels and loggers of fixed lists."""


def offences(tree, *, module):
    """Yield what a module does that could run code which came as data."""
    safe = {"SafeLoader"} | {
        n.name
        for n in ast.walk(tree)
        if isinstance(n, ast.ClassDef) and any(ast.unparse(b) in ("yaml.SafeLoader", "SafeLoader") for b in n.bases)
    }
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        errors_alone = isinstance(node, ast.ImportFrom) and all(a.name.endswith("Error") for a in node.names)
        for name in () if errors_alone else names:
            if name.split(".")[0] in FORBIDDEN_IMPORTS:
                yield f"imports {name}"
        if not isinstance(node, ast.Call):
            continue
        called, given = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
        if called in FORBIDDEN_CALLS:
            yield f"calls {called}"
        if called == "yaml.load" and given.get("Loader", "").split(".")[-1] not in safe:
            yield f"calls yaml.load with {given.get('Loader')}"
        if called.endswith(("import_module", "exec_module")) and module not in LOADS_MODULES:
            yield f"calls {called}"
        if given.get("shell") == "True" or given.get("allow_pickle") == "True":
            yield f"calls {called} with shell or allow_pickle"
        if given.get("trust_remote_code") == "True" or given.get("weights_only") == "False":
            yield f"calls {called} with trust_remote_code, or without weights_only"
        if called.endswith((".extractall", ".extract")):
            yield f"calls {called}"


def test_no_module_runs_what_came_as_data():
    files = sorted((SOURCE / "panollava").rglob("*.py"))
    assert len(files) > 300
    found = {}
    for file in files:
        module = file.relative_to(SOURCE / "panollava").as_posix()
        if bad := list(offences(ast.parse(file.read_text(encoding="utf-8")), module=module)):
            found[module] = bad
    assert not found


@pytest.mark.parametrize(
    "code",
    [
        "import pickle", "from joblib import load", "import xml.etree.ElementTree", "from xml.dom import minidom",
        "torch.load(f)", "eval(text)",
        "yaml.load(t, Loader=yaml.Loader)", "yaml.load(t, Loader=yaml.FullLoader)", "exec(t)", "z.extractall()",
        "np.load(f, allow_pickle=True)", "subprocess.run(c, shell=True)", "importlib.import_module(name)",
        "A.from_pretrained(p, trust_remote_code=True)",
    ],
)  # fmt: skip
def test_the_look_for_offences_sees_them(code):
    assert list(offences(ast.parse(code), module="models/x.py"))
