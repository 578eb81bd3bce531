"""A process pays for the stores that are set."""

import pytest

from tests.unit.fresh import loaded_by

CREATE = "from shared import services, settings\nservices.create(settings.read())"


def test_without_s3_sqs_and_kafka_no_client_of_theirs_is_loaded() -> None:
    """It takes 23 MB of each process."""
    assert loaded_by(CREATE) & {"boto3", "botocore", "confluent_kafka"} == set()


@pytest.mark.parametrize("setting", ["s3_bucket", "sqs_region"])
def test_a_store_that_is_set_has_its_client(setting: str) -> None:
    """From the start, not when the first deletion comes to it."""
    assert {"boto3", "botocore"} <= loaded_by(CREATE, **{setting: "eu-west-1"})


def test_kafkas_client_is_loaded_where_its_url_is_set() -> None:
    """From the start as well."""
    assert "confluent_kafka" in loaded_by(CREATE, kafka_url="kafka://h:9092")
