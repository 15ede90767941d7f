"""Changes of one upload that meet, on the database that lets them run at once."""

import asyncio

import pytest

from tests.conftest import Person, Running
from tests.uploads.test_resources import begin, state_of


@pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)
async def test_types_when_several_are_chosen_at_once_then_all_are_kept(app: Running, person: Person) -> None:
    path = await begin(app, person)
    chosen = {f"column {number}": "real" for number in range(8)}

    answers = await asyncio.gather(
        *(
            app.client.patch(path, json={"attributes": {name: kind}}, headers=person.headers)
            for name, kind in chosen.items()
        )
    )

    assert [answer.status_code for answer in answers] == [200] * len(chosen)
    assert (await state_of(app, person, path))["metadata"]["attributes"] == chosen
