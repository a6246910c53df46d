from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchside_kernels.image import (
    ImageSource,
    KernelImage,
    build_image,
    images_folder,
    prepare_font_cache,
)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with a font list, so that kernels plot without making their own."""
    home = tmp_path_factory.mktemp("home")
    prepare_font_cache(home)
    return home


@pytest.fixture(scope="session")
def image(home: Path, tmp_path_factory: pytest.TempPathFactory) -> KernelImage:
    """A small image with a table, a dict, a database and a file."""
    import sqlite3

    made = tmp_path_factory.mktemp("made")
    with sqlite3.connect(made / "db.sqlite") as connection:
        connection.execute("create table labs (name text, value real)")
        connection.executemany("insert into labs values (?, ?)", [("Na", 140.0), ("K", 4.1)])
    connection.close()
    (made / "notes.txt").write_text("afebrile")
    patients = pd.DataFrame({"age": np.arange(20.0, 90.0), "sex": ["f", "m"] * 35})
    source = ImageSource(
        "tests.ward",
        variables={"patients": patients, "units": {"Na": "mmol/L"}},
        database=made / "db.sqlite",
        files={"notes.txt": made / "notes.txt"},
        hidden=("lifelines/datasets/*.csv",),
        description="`patients`: 70 rows",
    )
    return build_image(source, images_folder(home))
