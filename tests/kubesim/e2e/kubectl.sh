#!/usr/bin/env bash
# Unmodified kubectl against kubesim: the verbs that people use. usage: kubectl.sh KUBESIM
set -u
command -v kubectl >/dev/null || { echo "skipped: no kubectl on PATH"; exit 77; }
kubesim=$1
dir=$(mktemp -d)
pid=
finish() {
	[ -z "$pid" ] || kill "$pid" 2>/dev/null
	wait 2>/dev/null
	rm -rf "$dir"
}
trap finish EXIT
failed=0

start() {
	mkfifo "$dir/ready" 2>/dev/null
	"$kubesim" --listen 127.0.0.1:0 --name e2e --data "$dir/data" --kubeconfig-out "$dir/config" \
		>"$dir/ready" 2>"$dir/log" &
	pid=$!
	read -r _ address <"$dir/ready" || { echo "kubesim did not start"; cat "$dir/log"; exit 1; }
}

# It ends in order, and under a sanitizer without a leak.
stop() {
	kill "$pid"
	wait "$pid" || { echo "FAILED: kubesim ended with $?"; cat "$dir/log"; failed=1; }
	pid=
}

# check WHAT WANTED COMMAND...: the output holds WANTED (a regular expression)
check() {
	local what=$1 wanted=$2 out
	shift 2
	out=$("$@" 2>&1)
	if ! grep -qE -- "$wanted" <<<"$out"; then
		printf 'FAILED %s: wanted /%s/, got:\n%s\n' "$what" "$wanted" "$out"
		failed=1
	fi
}
# refuse WHAT WANTED COMMAND...: it fails, and says so
refuse() {
	local what=$1 wanted=$2 out
	shift 2
	if out=$("$@" 2>&1); then
		printf 'FAILED %s: it did not fail: %s\n' "$what" "$out"
		failed=1
	fi
	grep -qE -- "$wanted" <<<"$out" || { printf 'FAILED %s: wanted /%s/, got:\n%s\n' "$what" "$wanted" "$out"; failed=1; }
}

start
export KUBECONFIG=$dir/config HOME=$dir
k() { kubectl --cache-dir "$dir/cache" "$@"; }

cat >"$dir/web.yaml" <<'YAML'
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {colour: red}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "nginx:1", ports: [{containerPort: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}
YAML
sed 's/nginx:1/nginx:2/' "$dir/web.yaml" >"$dir/web2.yaml"

check create-namespace 'namespace/made created' k create namespace made
check create-config-map 'configmap/c created' k -n made create configmap c --from-literal=a=b
check created-config-map '^b$' k -n made get configmap c -o 'jsonpath={.data.a}'
check create-deployment 'deployment.apps/d created' k -n made create deployment d --image=nginx --replicas=2
check created-deployment 'successfully rolled out' k -n made rollout status deploy/d --timeout=20s
check create-secret 'secret/s created' k -n made create secret generic s --from-literal=p=q
check create-job 'job.batch/j created' k -n made create job j --image=alpine
check can-i yes k auth can-i create deployments
check version 'Server Version: .*v1' k version
check api-resources 'deployments +deploy +apps/v1 +true +Deployment' k api-resources
check api-versions 'networking.k8s.io/v1' k api-versions
check cluster-info 'control plane.* is running' k cluster-info
check create 'namespace/shop created' k create -f "$dir/web.yaml"
check rollout 'successfully rolled out' k -n shop rollout status deploy/web --timeout=20s
check get 'web +2/2 +2 +2' k -n shop get deploy
check wide 'nginx:1' k -n shop get deploy -o wide
check get-pods 'web-[a-z0-9]+-[a-z0-9]+ +1/1 +Running' k -n shop get pods
check get-yaml 'colour: red' k -n shop get cm settings -o yaml
check jsonpath '^red$' k -n shop get cm settings -o 'jsonpath={.data.colour}'
check selector '^web' k -n shop get deploy -l app=web --no-headers
check field-selector 'Running' k -n shop get pods --field-selector status.phase=Running
check describe 'NewReplicaSet: +web-' k -n shop describe deploy web
check describe-pod 'Status: +Running' k -n shop describe pod -l app=web
check apply-adopts 'deployment.apps/web configured' k apply -f "$dir/web2.yaml"
check rollout-2 'successfully rolled out' k -n shop rollout status deploy/web --timeout=20s
check apply-again 'deployment.apps/web unchanged' k apply -f "$dir/web2.yaml"
check history '^2 ' k -n shop rollout history deploy/web
check undo 'rolled back' k -n shop rollout undo deploy/web
check undone 'nginx:1' k -n shop get deploy web -o 'jsonpath={.spec.template.spec.containers[0].image}'
check diff '\+.*image: nginx:2' k diff -f "$dir/web2.yaml"
check server-side 'deployment.apps/web serverside-applied' k apply --server-side --force-conflicts -f "$dir/web2.yaml"
refuse conflict 'conflict with "kubectl"' k apply --server-side --field-manager=other -f "$dir/web.yaml"
check dry-run 'configured \(server dry run\)|serverside-applied \(server dry run\)' \
	k apply --server-side --force-conflicts --dry-run=server -f "$dir/web.yaml"
check patch 'patched' k -n shop patch deploy web -p '{"spec":{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"A","value":"1"}]}]}}}}'
check patch-merge 'patched' k -n shop patch cm settings --type merge -p '{"data":{"size":"3"}}'
check patch-json 'patched' k -n shop patch cm settings --type json -p '[{"op":"replace","path":"/data/size","value":"4"}]'
check patched '^4$' k -n shop get cm settings -o 'jsonpath={.data.size}'
check label 'labeled' k -n shop label cm settings team=a
check annotate 'annotated' k -n shop annotate cm settings note=b
check set-image 'image updated' k -n shop set image deploy/web web=nginx:3
cat >"$dir/editor" <<'SH'
#!/bin/sh
sed -i 's/colour: red/colour: blue/' "$1"
SH
chmod +x "$dir/editor"
check edit 'edited' env EDITOR="$dir/editor" kubectl --cache-dir "$dir/cache" -n shop edit cm settings
check edited '^blue$' k -n shop get cm settings -o 'jsonpath={.data.colour}'
check replace 'replaced' k replace -f <(k -n shop get cm settings -o yaml)
check scale 'scaled' k -n shop scale deploy/web --replicas=3
# older ones wait for conditions only
if k wait --help | grep -q 'for=jsonpath'; then
check wait 'condition met' k -n shop wait --for=jsonpath='{.status.readyReplicas}'=3 deploy/web --timeout=20s
check load-balancer 'condition met' k -n shop wait --for=jsonpath='{.status.loadBalancer.ingress[0].ip}' svc/web --timeout=20s
fi

# a watch sees a change
k -n shop get cm settings -w -o 'jsonpath={.data.colour}{"\n"}' >"$dir/watch" 2>&1 &
watcher=$!
for _ in $(seq 200); do grep -qs blue "$dir/watch" && break; read -rt 0.05 _ <> <(:); done
k -n shop patch cm settings --type merge -p '{"data":{"colour":"green"}}' >/dev/null
for _ in $(seq 200); do grep -qs green "$dir/watch" && break; read -rt 0.05 _ <> <(:); done
check watch 'green' cat "$dir/watch"
kill "$watcher"

cat >"$dir/crd.yaml" <<'YAML'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: boats, singular: boat, kind: Boat, shortNames: [bt]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    additionalPrinterColumns: [{name: Seats, type: integer, jsonPath: .spec.seats}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, required: [seats], properties: {seats: {type: integer}}}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
YAML
check crd 'created' k apply -f "$dir/crd.yaml"
check established 'condition met' k wait --for=condition=Established crd/boats.example.com --timeout=20s
printf 'apiVersion: example.com/v1\nkind: Boat\nmetadata: {name: eight, namespace: shop}\nspec: {seats: 8}\n' >"$dir/boat.yaml"
check custom 'boat.example.com/eight created' k apply -f "$dir/boat.yaml"
check custom-table 'eight +8' k -n shop get bt
refuse custom-refused 'spec.seats: Required value' k apply -f <(sed 's/seats: 8//' "$dir/boat.yaml")

cat >"$dir/job.yaml" <<'YAML'
apiVersion: batch/v1
kind: Job
metadata: {name: ok, namespace: shop}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: alpine}]}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: bad, namespace: shop, annotations: {kubesim.coxswain.dev/job-outcome: fail}}
spec: {backoffLimit: 0, template: {spec: {restartPolicy: Never, containers: [{name: c, image: alpine}]}}}
YAML
check jobs 'job.batch/ok created' k apply -f "$dir/job.yaml"
check job-done 'condition met' k -n shop wait --for=condition=Complete job/ok --timeout=20s
check job-failed 'condition met' k -n shop wait --for=condition=Failed job/bad --timeout=20s

cat >"$dir/sets.yaml" <<'YAML'
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  replicas: 2
  serviceName: db
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db}}, spec: {containers: [{name: c, image: db}]}}
  volumeClaimTemplates: [{metadata: {name: d}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: log, namespace: shop}
spec:
  selector: {matchLabels: {app: log}}
  template: {metadata: {labels: {app: log}}, spec: {containers: [{name: c, image: log}]}}
YAML
check sets 'statefulset.apps/db created' k apply -f "$dir/sets.yaml"
check stateful 'roll out complete|rolling update complete' k -n shop rollout status sts/db --timeout=20s
check daemon 'successfully rolled out' k -n shop rollout status ds/log --timeout=20s
check claims 'd-db-1 +Bound' k -n shop get pvc

printf 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: stuck, namespace: shop, annotations: {kubesim.coxswain.dev/never-ready: "true"}}\nspec: {progressDeadlineSeconds: 1, selector: {matchLabels: {a: s}}, template: {metadata: {labels: {a: s}}, spec: {containers: [{name: c, image: x}]}}}\n' >"$dir/stuck.yaml"
check stuck 'created' k apply -f "$dir/stuck.yaml"
refuse deadline 'exceeded its progress deadline' k -n shop rollout status deploy/stuck --timeout=20s

refuse unknown-field 'unknown field "(spec.)?replica"' k apply -f <(sed 's/replicas: 2/replica: 2/' "$dir/web.yaml")
refuse missing 'not found' k -n shop get cm nothing

# what was there is there after a restart
stop
start
check restart '^3$' k -n shop get deploy web -o 'jsonpath={.spec.replicas}'
check restart-custom 'eight' k -n shop get boats

check delete 'deleted' k -n shop delete deploy web
check collected 'No resources found' k -n shop get pods -l app=web
check delete-crd 'deleted' k delete crd boats.example.com
refuse crd-gone "doesn't have a resource type|could not find the requested resource" k -n shop get boats
check delete-namespace 'deleted' k delete ns shop --timeout=30s
refuse namespace-gone 'not found' k get ns shop
stop
[ $failed = 0 ] && echo "everything as wanted"
exit $failed
