"""The files for Kubernetes fit each other, the image, compose and the code; no cluster is needed."""

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from zk_pipeline import __version__
from zk_pipeline.runtime.environment import PROJECT
from zk_pipeline_tests.deploy.test_files import DEPLOY, WEB_PORT, services

HELM = DEPLOY / "kubernetes" / "dagster-values.yaml"
MANIFESTS = DEPLOY / "kubernetes" / "zk-pipeline.yaml"
POLICIES = DEPLOY / "kubernetes" / "network-policies.yaml"


def manifests() -> dict[str, dict[str, Any]]:
    """The manifests by kind and name."""
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in read(MANIFESTS)}


def read(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def test_every_process_in_kubernetes_gets_the_settings_and_secrets():
    wanted = {"zk-pipeline"}
    values = yaml.safe_load(HELM.read_text())
    places = [values["dagster-user-deployments"]["deployments"][0], values["runLauncher"]["config"]["k8sRunLauncher"]]
    for place in places:
        assert {one["name"] for one in place["envSecrets"]} == wanted
        assert {one["name"] for one in place["envConfigMaps"]} == wanted
    for one in manifests().values():
        if one["kind"] in {"Job", "Deployment"} and container(one)["image"].startswith("zk_pipeline"):
            sources = [source for given in container(one)["envFrom"] for source in given.values()]
            # The owner's address of the database is for the migration alone.
            owner = ["zk-pipeline-owner"] if one["kind"] == "Job" else []
            assert sorted(source["name"] for source in sources) == ["zk-pipeline", "zk-pipeline", *owner]


def test_backups_in_kubernetes_outlive_the_runs_that_make_them():
    known, values = manifests(), yaml.safe_load(HELM.read_text())
    code = values["dagster-user-deployments"]["deployments"][0]
    mounted = {one["mountPath"]: one["name"] for one in code["volumeMounts"]}
    volume = next(one for one in code["volumes"] if one["name"] == mounted[backup_directory(known)])
    claim = known[f"PersistentVolumeClaim/{volume['persistentVolumeClaim']['claimName']}"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    # Runs have the volumes of their code server, and may write as the user of the image.
    assert code["includeConfigInLaunchedRuns"]["enabled"]
    runs = values["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]["podSpecConfig"]
    user = int(re.findall(r"^USER (\d+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)[0])
    assert code["podSecurityContext"]["fsGroup"] == runs["securityContext"]["fsGroup"] == user


def test_the_manifests_are_what_kubernetes_takes():
    command = [sys.executable, "-m", "kubernetes_validate", "--strict", "--quiet", str(MANIFESTS), str(POLICIES)]
    told = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert told.returncode == 0, told.stdout + told.stderr


def test_everything_in_kubernetes_runs_the_image_of_this_version():
    wanted = f"zk_pipeline:{__version__}"
    images = re.findall(r"image: (\S+)", MANIFESTS.read_text())
    assert {image for image in images if "nginx" not in image} == {wanted}
    deployment = yaml.safe_load(HELM.read_text())["dagster-user-deployments"]["deployments"][0]
    assert f"{deployment['image']['repository']}:{deployment['image']['tag']}" == wanted


def test_kubernetes_runs_the_commands_of_compose():
    known = manifests()
    migrate = next(one for name, one in known.items() if name.startswith("Job/"))
    assert container(migrate)["command"] == services()["migrate"]["command"]
    assert container(known["Deployment/zk-pipeline-web"])["command"] == services()["web"]["command"]
    webserver = services()["webserver"]["command"]
    assert container(known["Deployment/zk-pipeline-dagster"])["command"][: len(webserver)] == webserver
    values = yaml.safe_load(HELM.read_text())["dagster-user-deployments"]["deployments"][0]
    assert values["dagsterApiGrpcArgs"] == services()["code"]["command"][-4:]


def test_the_door_of_kubernetes_is_that_of_compose():
    known = manifests()
    door = container(known["Deployment/zk-pipeline-proxy"])
    assert {one["name"] for one in door["env"]} == services()["proxy"]["environment"].keys()
    assert door["image"].partition(":")[2] == services()["proxy"]["image"].partition(":")[2]
    mounted = {one["name"]: one["mountPath"] for one in door["volumeMounts"]}
    assert (mounted["template"], mounted["tls"]) == ("/etc/nginx/templates", environment_of(door)["TLS"])
    assert "--from-file=deploy/proxy/default.conf.template" in MANIFESTS.read_text()


def test_the_door_of_kubernetes_leads_to_services_that_listen():
    known = manifests()
    door = container(known["Deployment/zk-pipeline-proxy"])
    given = environment_of(door)
    web = known["Service/zk-pipeline-web"]["spec"]["ports"][0]
    assert web["port"] == container(known["Deployment/zk-pipeline-web"])["ports"][0]["containerPort"] == WEB_PORT
    assert given["WEB"] == f"zk-pipeline-web.default.svc.cluster.local:{WEB_PORT}"
    dagster = known["Service/zk-pipeline-dagster"]["spec"]["ports"][0]["port"]
    assert dagster == container(known["Deployment/zk-pipeline-dagster"])["ports"][0]["containerPort"]
    assert given["DAGSTER"] == f"zk-pipeline-dagster.default.svc.cluster.local:{dagster}"
    address = known["ConfigMap/zk-pipeline"]["data"]["ZK_DAGSTER_ADDRESS"]
    assert address == f"http://zk-pipeline-dagster:{dagster}/dagster"
    listening = {one["name"]: str(one["containerPort"]) for one in door["ports"]}
    assert listening == {"http": given["LISTEN_HTTP"], "https": given["LISTEN_HTTPS"]}


def test_each_pod_of_ours_is_nobody_special_and_has_its_limits():
    values = yaml.safe_load(HELM.read_text())
    code = values["dagster-user-deployments"]["deployments"][0]
    run = values["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]
    daemon = values["dagsterDaemon"]
    pods = [(code["podSecurityContext"], code), (run["podSpecConfig"]["securityContext"], run["containerConfig"])]
    pods += [(daemon["podSecurityContext"], daemon)]
    pods += [
        (one["spec"]["template"]["spec"]["securityContext"], container(one))
        for one in manifests().values()
        if one["kind"] in {"Job", "Deployment"}
    ]
    for pod, within in pods:
        assert (pod["runAsNonRoot"], pod["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
        assert within["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(within["resources"]["limits"]) == {"cpu", "memory"}


WAYS = {
    "door": {"web": {8000}, "dagster": {3000}},
    "web": {"dagster": {3000}},
    "dagster": {"code": {4000}},
    "daemon": {"code": {4000}},
    "code": {},
    "migrate": {},
    "run": {},
}
"""Who may talk to which part of ours, on which port; nobody else comes in anywhere but at the door."""


def test_network_policies_let_each_part_talk_to_what_it_needs():
    policies = {one["metadata"]["name"].removeprefix("zk-pipeline-"): one["spec"] for one in read(POLICIES)}
    parts = {str(spec["podSelector"]): name for name, spec in policies.items()}
    assert set(policies) == set(WAYS) == set(parts.values())
    came: dict[str, dict[str, set[int]]] = {name: {} for name in WAYS}
    for name, spec in policies.items():
        assert spec["policyTypes"] == ["Ingress", "Egress"]
        for rule in spec["ingress"]:
            assert "from" in rule or name == "door"
            for peer in rule.get("from", []):
                came[parts[str(peer["podSelector"])]][name] = {port["port"] for port in rule["ports"]}
        ways = {
            parts[str(peer["podSelector"])]: {port["port"] for port in rule["ports"]}
            for rule in spec["egress"]
            for peer in rule["to"]
            if "podSelector" in peer
        }
        assert ways == WAYS[name]
    assert came == WAYS
    reach_database = {name for name, spec in policies.items() if "5432" in str(spec["egress"])}
    assert reach_database == set(WAYS) - {"door"}


def test_the_policies_are_about_pods_that_exist():
    values = yaml.safe_load(HELM.read_text())
    run = values["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]["podTemplateSpecMetadata"]["labels"]
    labels = [
        one["spec"]["template"]["metadata"]["labels"]
        for one in manifests().values()
        if "template" in one.get("spec", {})
    ]
    # The chart gives its code servers the first of these.
    code = {"component": "user-deployments", "deployment": values["dagster-user-deployments"]["deployments"][0]["name"]}
    labels += [code, run, values["dagsterDaemon"]["labels"]]
    for policy in read(POLICIES):
        wanted = policy["spec"]["podSelector"]["matchLabels"].items()
        assert [one for one in labels if wanted <= one.items()], policy["metadata"]["name"]


def test_the_chart_is_that_of_our_dagster_and_so_is_its_launcher():
    pinned = re.findall(r"helm upgrade --install dagster dagster/dagster (--version \S+)?", HELM.read_text())
    page = (PROJECT / "docs" / "deployment.md").read_text()
    pinned += re.findall(r"helm upgrade --install dagster dagster/dagster (--version \S+)?", page)
    assert pinned == [f"--version {version('dagster')}"] * 2
    values = yaml.safe_load(HELM.read_text())
    assert values["runLauncher"]["type"] == "K8sRunLauncher"
    assert "dagster-k8s==" in (PROJECT / "constraints.txt").read_text()
    assert values["dagsterDaemon"]["image"] == values["dagster-user-deployments"]["deployments"][0]["image"]


def test_no_web_server_of_dagsters_runs_bare():
    webserver = yaml.safe_load(HELM.read_text())["dagsterWebserver"]
    assert (webserver["replicaCount"], webserver["enableReadOnly"]) == (0, False)
    for one in manifests().values():
        assert "dagster-webserver" not in str(one)


def test_the_doors_pods_alone_are_believed():
    known = manifests()
    believed = known[f"Service/{known['ConfigMap/zk-pipeline']['data']['ZK_TRUSTED_PROXIES']}"]["spec"]
    door = known["Deployment/zk-pipeline-proxy"]["spec"]["template"]["metadata"]["labels"]
    assert (believed["clusterIP"], believed["selector"]) == ("None", door)


def test_nothing_in_kubernetes_is_reached_from_outside_but_by_the_door():
    known = manifests()
    assert [name for name in known if name.startswith("Ingress/")] == []
    services_ = {name: one["spec"].get("type", "ClusterIP") for name, one in known.items() if "Service/" in name}
    assert [name for name, kind in services_.items() if kind != "ClusterIP"] == ["Service/zk-pipeline-proxy"]


def test_runs_in_kubernetes_keep_the_limits_of_the_instance():
    instance = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
    values = yaml.safe_load(HELM.read_text())
    theirs = values["additionalInstanceConfig"]["concurrency"]["pools"]
    assert theirs == instance["concurrency"]["pools"]
    retries = values["dagsterDaemon"]["runRetries"]
    assert (retries["maxRetries"], retries["retryOnAssetOrOpFailure"]) == (
        instance["run_retries"]["max_retries"],
        instance["run_retries"]["retry_on_asset_or_op_failure"],
    )
    assert (
        values["retention"]["sensor"]["purgeAfterDays"].items()
        >= instance["retention"]["sensor"]["purge_after_days"].items()
    )


def container(manifest: dict[str, Any]) -> dict[str, Any]:
    return manifest["spec"]["template"]["spec"]["containers"][0]


def backup_directory(known: dict[str, dict[str, Any]]) -> str:
    return known["ConfigMap/zk-pipeline"]["data"]["ZK_BACKUP_DIR"]


def environment_of(container: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container["env"] if "value" in one}
