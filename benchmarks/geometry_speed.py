"""The sections that take time: views, cube, jpeg, cache."""

from typing import Any

import numpy as np
from geometry_pool import Method, Pool, Settings
from geometry_report import Section, Table, Target, Times, faster, time_tables
from geometry_scenes import Array, JpegTask, StitchTask, fibonacci, jpeg, noise, photo, psnr, ring

EQUILIB = ("equilib loop", "equilib batch", "equilib class")

VIEWS = (
    Method("ours", "ours", "views"),
    Method("ours, cold", "ours", "views", cold=True),
    Method("ours, fast AA", "ours", "views fast"),
    Method("ours, quality AA", "ours", "views quality"),
    Method("py360convert", "py360convert", "views"),
    Method("py360convert, cold", "py360convert", "views", cold=True),
    Method("equilib loop", "equilib", "views"),
    Method("equilib batch", "equilib", "views batch"),
    Method("equilib class", "equilib", "views class"),
    Method("equilib float32 loop", "equilib", "views float"),
    Method("pytorch360convert", "pytorch360convert", "views"),
)

CUBE = (
    Method("ours", "ours", "cube"),
    Method("ours, cold", "ours", "cube", cold=True),
    Method("py360convert", "py360convert", "cube"),
    Method("py360convert, cold", "py360convert", "cube", cold=True),
    Method("equilib", "equilib", "cube"),
    Method("pytorch360convert", "pytorch360convert", "cube"),
)

STITCH = (
    Method("ours", "ours", "stitch"),
    Method("ours, cold", "ours", "stitch", cold=True),
    Method("ours, feather", "ours", "stitch feather"),
    Method("equilib", "equilib", "stitch"),
)

JPEG = (
    Method("ours, fast AA", "ours", "jpeg fast"),
    Method("ours, quality AA", "ours", "jpeg quality"),
    Method("PIL + py360convert", "py360convert", "jpeg pil"),
    Method("cv2 + py360convert", "py360convert", "jpeg cv2"),
    Method("PIL + equilib loop", "equilib", "jpeg"),
    Method("PIL + equilib float32 loop", "equilib", "jpeg float"),
    Method("PIL + pytorch360convert", "pytorch360convert", "jpeg"),
)

KINDER = (
    "equilib float32 loop is not in its documents: one conversion to float32 and no clipping, in place of one of each "
    "per view. The targets are against the documented calls."
)


def views(settings: Settings) -> Section:
    """Time uint8 ERP in memory to 8 views, field of view 90, without antialiasing unless it is said."""
    shots = ring(8, size_px=settings.size_px)
    times: Times = {}
    with Pool(settings.libraries) as pool:
        methods = pool.present(VIEWS)
        for width in settings.widths:
            path = settings.save(noise(width // 2))
            for method in methods:
                pool.ask(method, "hold", "erp", path)
            _collect(times, str(width), pool.times_ms(methods, slot="erp", task=shots, rounds=settings.rounds))
        columns = [str(width) for width in settings.widths]
        section = Section("views", f"uint8 ERP in memory to 8 views of {settings.size_px} px, field of view 90")
        section.tables = time_tables(times, columns, unit="ms, by width of the ERP")
        section.targets = _views_targets(times, columns)
        section.notes, section.failures, section.times_ms = [KINDER], pool.failures, times
    return section


def _views_targets(times: Times, columns: list[str]) -> list[Target]:
    goals: list[tuple[str, str | list[str], str, tuple[float, ...]]] = [
        ("py360convert / ours, warm", "py360convert", "ours", (5, 7, 12)),
        ("equilib's best documented call / ours", list(EQUILIB), "ours", (14, 40, 65)),
        ("pytorch360convert / ours", "pytorch360convert", "ours", (15, 13, 13)),
        ("py360convert / ours, cold", "py360convert, cold", "ours, cold", (12, 12, 12)),
        ("ours / ours with fast AA (5 % is noise)", "ours", "ours, fast AA", (0.95, 0.95, 0.95)),
    ]
    return [
        faster(what, times, slow, fast, column, at_least=goal)
        for what, slow, fast, row in goals
        for column, goal in zip(columns, row, strict=False)
    ]


def cube(settings: Settings) -> Section:
    """Time ERP to cube, cube to ERP, and eight views to ERP."""
    section = Section("cube", "ERP to 6 faces of a quarter of its width, and back; 8 views of a ring to an ERP")
    columns: list[str] = []
    for width in settings.widths[:2]:
        path, height, face = settings.save(noise(width // 2)), width // 2, width // 4
        task = StitchTask(ring(8, size_px=settings.size_px), height)
        for column, methods, first, last in (
            (f"to cube {width}", CUBE, None, face),
            (f"from cube {width}", [m._replace(operation="uncube") for m in CUBE], ("cube", face), height),
            (f"from ring {width}", STITCH, ("views", task.shots), task),
        ):
            columns.append(column)
            with Pool(settings.libraries) as pool:
                for method in pool.present(methods):
                    pool.ask(method, "hold", "input", path)
                    if first is not None:
                        pool.ask(method, "derive", "input", first[0], "input", first[1])
                measured = pool.times_ms(methods, slot="input", task=last, rounds=settings.rounds)
                _collect(section.times_ms, column, measured)
                section.failures |= {f"{key}, {column}": reason for key, reason in pool.failures.items()}
    section.tables = time_tables(section.times_ms, columns, unit="ms, by width of the ERP")
    section.targets = [
        faster(what, section.times_ms, slow, fast, column, at_least=goal)
        for column in columns
        for what, slow, fast, goal in (
            ("py360convert / ours, warm", "py360convert", "ours", 1.5),
            ("py360convert / ours, cold", "py360convert, cold", "ours, cold", 1.0),
        )
        if "cube" in column
    ]
    return section


def jpeg_section(settings: Settings) -> Section:
    """Time JPEG bytes to the float32 pictures of a model, and the memory it takes."""
    task = JpegTask(ring(8, size_px=settings.size_px), settings.size_px)
    times: Times = {}
    sizes: list[str] = []
    pictures: dict[str, Array | None] = {}
    with Pool(settings.libraries) as pool:
        methods = pool.present(JPEG)
        for width in settings.widths:
            path = settings.folder / f"{width}.jpg"
            sizes.append(f"{path.write_bytes(jpeg(width)) / 1e6:.2f} MB at {width}")
            for method in methods:
                pool.ask(method, "hold", "jpeg", str(path))
            pictures = pictures or {m.label: pool.ask(m, "run", m.operation, "jpeg", task) for m in methods}
            _collect(times, str(width), pool.times_ms(methods, slot="jpeg", task=task, rounds=settings.rounds))
        failures = dict(pool.failures)
    columns = [str(width) for width in settings.widths]
    peaks = _peaks(settings, task, [method for method in methods if method.key not in failures], failures)
    section = Section("jpeg", f"JPEG bytes to float32 (9, 3, {settings.size_px}, {settings.size_px}), normalised")
    memory = Table(f"MB of resident memory over the start, {columns[-1]}", ["MB"], peaks)
    agreement = _agreement(pictures, columns[0])
    section.tables = [*time_tables(times, columns, unit="ms, by width of the ERP"), memory, agreement]
    source = "generated texture, because the photo is absent" if photo() is None else "the photo, enlarged, with grain"
    section.notes = [f"files: {', '.join(sizes)}; {source}", KINDER]
    section.failures, section.times_ms = failures, times
    for slow, row in (("PIL + py360convert", (3, 5, 10)), ("PIL + equilib loop", (6, 15, 22))):
        for column, goal in zip(columns, row, strict=False):
            what = f"{slow} / ours with fast AA"
            section.targets.append(faster(what, times, slow, "ours, fast AA", column, at_least=goal))
    peak = peaks.get("ours, fast AA", {}).get("MB")
    section.targets.append(Target(f"MB over the start, ours with fast AA, {columns[-1]}", peak, at_most=80))
    return section


def _agreement(pictures: dict[str, Array | None], width: str) -> Table:
    """Return how near all methods are to the first: they must show the same, or their times mean nothing."""
    made = {label: picture for label, picture in pictures.items() if picture is not None}
    first = next(iter(made.values()), None)
    rows = {
        label: {"dB": psnr(127.5 * picture, 127.5 * np.asarray(first, float)), "shape": str(picture.shape)}
        for label, picture in made.items()
        if first is not None and picture.shape == first.shape
    }
    return Table(f"the same pictures? against the first row, {width}", ["dB", "shape"], rows)


def _peaks(
    settings: Settings, task: JpegTask, methods: list[Method], failures: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """Return the memory of each method in a fresh process, after a small panorama has loaded all it needs."""
    small = settings.folder / "small.jpg"
    small.write_bytes(jpeg(256))
    found: dict[str, dict[str, Any]] = {}
    for method in methods:
        with Pool(settings.libraries) as pool:
            pool.ask(method, "hold", "small", str(small))
            pool.ask(method, "derive", "warm", method.operation, "small", task)
            pool.ask(method, "hold", "jpeg", str(settings.folder / f"{settings.widths[-1]}.jpg"))
            peak = pool.ask(method, "peak_bytes", method.operation, "jpeg", task)
            failures.update(pool.failures)
        found[method.label] = {"MB": None if peak is None else peak / 1e6}
    return found


def cache(settings: Settings) -> Section:
    """Count the maps built when more views than a small cache holds are rendered again, and time it per view."""
    width = settings.widths[0]
    methods = (Method("ours", "ours", "views"), Method("py360convert", "py360convert", "views"))
    shots = fibonacci(26, size_px=settings.size_px)
    times: Times = {}
    builds: list[int] = []
    with Pool(settings.libraries) as pool:
        path = settings.save(noise(width // 2))
        present = pool.present(methods)
        for method in present:
            pool.ask(method, "hold", "erp", path)
        for _ in range(3 if present and present[0].label == "ours" else 0):
            builds.append(pool.ask(present[0], "run", "map builds", "erp", None))
            pool.ask(present[0], "run", "views", "erp", shots)
        for count in (8, 9, 26):
            column = f"{count} views"
            _collect(times, column, pool.times_ms(present, slot="erp", task=shots[:count], rounds=settings.rounds))
        section = Section("cache", f"26 views of {settings.size_px} px spread over the sphere, from {width} columns")
        section.failures, section.times_ms = pool.failures, times
    per_view = {
        row: {c: [t / int(c.split()[0]) for t in cell] for c, cell in cells.items()} for row, cells in times.items()
    }
    section.tables = time_tables(per_view, ["8 views", "9 views", "26 views"], unit="ms per view, warm")
    known = len(builds) == 3 and None not in builds
    section.tables.append(
        Table(
            "maps built",
            ["first time", "second time"],
            {"ours": {"first time": builds[1] - builds[0], "second time": builds[2] - builds[1]}} if known else {},
        )
    )
    section.targets = [Target("maps built the second time", builds[2] - builds[1] if known else None, at_most=0)]
    return section


def _collect(times: Times, column: str, measured: dict[str, list[float]]) -> None:
    for label, values in measured.items():
        times.setdefault(label, {})[column] = values
