#!/usr/bin/env bash
# Deploys to the cluster that kubectl points at, and ends with a login through the public address. Doing it twice changes nothing more.
#
# usage: ./deploy.sh [options] [serveur-db] [db-password] [jwt-secret] [encryption-key]
#
# Every argument may be left out, or be `-`: then it is taken from the environment, from what was deployed before, or made up.
#   serveur-db       the PostgreSQL server; `postgres` or nothing: the cluster's own, by CloudNativePG.
#                    Another: its owner is POSTGRES_USER (postgres), the database POSTGRES_DB (mspr2_cofrap), its authority the file PGSSLROOTCERT
#   db-password      POSTGRES_PASSWORD    of the functions' user; with a server of yours, of its owner
#   jwt-secret       JWT_SECRET           32 bytes in base64: `openssl rand -base64 32`; a comma-separated list rotates
#   encryption-key   ENCRYPTION_KEY       the same
# and ADMIN_TOKEN, of which an empty one closes the operators' routes.
#
# options:
#   --overlay NAME   which of deploy/overlays (gke)
#   --host NAME, --image NAME@DIGEST, --migrate-image NAME@DIGEST   in the place of what site.env of the overlay has
#   --ask            asks for the secrets that are `-`, without showing them
#   --dry-run        says what would be done, and does nothing
#   --no-login       leaves out the login at the end
#   --drop-keys      lets a key that is deployed leave its list: what is sealed under it can be read by nobody then
#   --move           lets the server, the database or the overlay be another than that of the deployment before
#   --uninstall      takes the functions away; accounts, their database and the secrets stay
#   --help
#
# Secrets are kept in the Secret `auth` of the namespace `cofrap`, and nowhere else: not in a file, not in a program's arguments.

# Not even where somebody traces this.
{ set +x; } 2>/dev/null
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
namespace=cofrap
overlay='' host='' image='' migrate_image='' dry_run='' login=1 uninstall='' ask='' drop_keys='' move=''

say() { printf '==> %s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

check_overlay() {
    [[ $overlay =~ ^[a-z0-9-]+$ && -f $root/deploy/overlays/$overlay/kustomization.yaml ]] ||
        fail "there is no overlay $overlay in deploy/overlays: $(cd "$root/deploy/overlays" && echo *)"
}

usage() { sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }

# --- What is asked for ------------------------------------------------------------------------------------------------

arguments=()
while (($#)); do
    case $1 in
        --overlay | --host | --image | --migrate-image)
            (($# > 1)) || fail "$1 needs a value"
            name=${1#--}
            printf -v "${name//-/_}" '%s' "$2"
            shift 2
            ;;
        --ask) ask=1 && shift ;;
        --dry-run) dry_run=1 && shift ;;
        --no-login) login='' && shift ;;
        --uninstall) uninstall=1 && shift ;;
        --drop-keys) drop_keys=1 && shift ;;
        --move) move=1 && shift ;;
        --help) usage && exit 0 ;;
        --*) fail "there is no option $1 (--help lists them)" ;;
        *) arguments+=("$1") && shift ;;
    esac
done
((${#arguments[@]} <= 4)) || fail "more than four arguments (--help)"
server=${arguments[0]:--} given_password=${arguments[1]:--} given_jwt=${arguments[2]:--} given_key=${arguments[3]:--}
for given in "$given_password" "$given_jwt" "$given_key"; do
    if [[ $given != - ]]; then
        warn "a secret given as an argument is for every user of this machine to see (ps), and in the shell's history: use - and the environment"
        break
    fi
done
[[ $server == - ]] && server=${POSTGRES_HOST:-}
[[ -z $server || $server =~ ^[A-Za-z0-9.-]+$ ]] || fail "serveur-db: a host name is expected, without a port"
if [[ -n $overlay ]]; then check_overlay; fi

# Samples of documents and of tutorials are known to everybody.
refuse_samples() {
    local name=$1 value=${2,,} remedy=$3
    case $value in
        secret | secret[0-9]* | password | password[0-9]* | motdepasse* | changeme | change-me | admin | postgres | example | test | azerty* | qwerty* | *votre-cle* | *your-secret* | *super-secur* | *supersecret*)
            fail "$name is a sample that everybody knows: $remedy"
            ;;
    esac
}

# One key as it is decoded, in hexadecimal; nothing unless it is 32 bytes in base64. Fernet's keys have the alphabet for URLs.
decoded() {
    local plain
    plain=$(printf '%s' "$1" | tr -- '-_' '+/')
    [[ $plain =~ ^[A-Za-z0-9+/]{43}=$ ]] || return 0
    printf '%s' "$plain" | base64 --decode 2>/dev/null | od -An -v -tx1 | tr -d ' \n'
}

check_key() {
    local name=$1 list=$2 key bytes
    local remedy="make one with \`openssl rand -base64 32\`, or leave it out"
    IFS=, read -ra keys <<<"$list"
    for key in "${keys[@]}"; do
        key=${key//[[:space:]]/}
        refuse_samples "$name" "$key" "$remedy"
        bytes=$(decoded "$key")
        [[ ${#bytes} == 64 ]] || fail "$name is not 32 bytes in base64: $remedy"
        [[ -n ${bytes//"${bytes:0:2}"/} ]] || fail "$name is a sample that everybody knows: $remedy"
    done
}

# The keys of one list that another has too.
shared_keys() {
    local key other
    IFS=, read -ra keys <<<"$1"
    IFS=, read -ra others <<<"$2"
    for key in "${keys[@]}"; do
        for other in "${others[@]}"; do
            [[ $(decoded "${key//[[:space:]]/}") != "$(decoded "${other//[[:space:]]/}")" ]] || printf '%s\n' "$key"
        done
    done
}


# What is given is looked at before anything is asked of a cluster.
if [[ ${server:-postgres} == postgres && $given_password != - ]]; then refuse_samples db-password "$given_password" "leave it out, and one is made up"; fi
if [[ $given_jwt != - ]]; then check_key jwt-secret "$given_jwt"; fi
if [[ $given_key != - ]]; then check_key encryption-key "$given_key"; fi

# --- Tools and cluster ------------------------------------------------------------------------------------------------

for tool in kubectl openssl base64; do
    command -v "$tool" >/dev/null || fail "$tool is missing: install it first (docs/operations/install.md)"
done
if [[ -n $login && -z $dry_run && -z $uninstall ]]; then
    command -v python3 >/dev/null || fail "python3 is missing: install it, or leave the login out with --no-login"
fi
# The first version whose kustomize knows what the trees use.
minor=$(kubectl version --client --output=json | sed -n 's/.*"minor": *"\([0-9]*\).*/\1/p' | head -n 1)
((${minor:-0} >= 31)) || fail "kubectl 1.$minor is too old: 1.31 or newer is needed"

# What changes the cluster goes through here; what only looks does not.
change() {
    if [[ -n $dry_run ]]; then
        say "would run: kubectl $*"
    else
        kubectl "$@"
    fi
}

# --- What was deployed before -------------------------------------------------------------------------------------------

# Read once and whole: a cluster that does not answer must never look like one that has no secrets yet.
before_url='' before_encryption_key='' before_jwt_secret='' before_admin_token='' before_overlay='' before_server='' before_database=''
is_there=''
if [[ -z $dry_run ]]; then
    kubectl get --raw /readyz >/dev/null || fail "no cluster answers: which one does \`kubectl config current-context\` name?"
    is_there=$(kubectl get secret auth --namespace "$namespace" --ignore-not-found --output name) ||
        fail "the cluster does not say whether there is a Secret auth: nothing was done"
fi
if [[ -n $is_there ]]; then
    read_field() {
        local text
        text=$(kubectl get secret auth --namespace "$namespace" --output "jsonpath={$2}") ||
            fail "the Secret auth cannot be read: nothing was done"
        [[ $2 != .data.* ]] || text=$(printf '%s' "$text" | base64 --decode)
        [[ $1 == before_admin_token || $2 != .data.* || -n $text ]] ||
            fail "the Secret auth has no ${2#.data.}: put it there, or remove the Secret if nothing was ever sealed"
        printf -v "$1" '%s' "$text"
    }
    read_field before_url .data.database_url
    read_field before_encryption_key .data.encryption_key
    read_field before_jwt_secret .data.jwt_secret
    read_field before_admin_token .data.admin_token
    # Of a Secret that was made by hand these are empty.
    read_field before_overlay '.metadata.annotations.cofrap/overlay'
    read_field before_server '.metadata.annotations.cofrap/server'
    read_field before_database '.metadata.annotations.cofrap/database'
fi

overlay=${overlay:-${before_overlay:-gke}}
check_overlay
server=${server:-${before_server:-postgres}}
own_server='' cluster=accounts
[[ $server == postgres ]] && own_server=1
# What a restoration made in the place of the first.
[[ $overlay == *-recovery ]] && cluster=accounts-restored
if [[ -n $own_server ]]; then database=mspr2_cofrap; else database=${POSTGRES_DB:-${before_database:-mspr2_cofrap}}; fi
# Another database has other accounts, and lets anybody take the names of these.
if [[ -z $move && -z $uninstall ]]; then
    for what in overlay server database; do
        before=before_$what
        [[ -z ${!before} || ${!before} == "${!what}" ]] ||
            fail "this was deployed with another $what (${!before}): leave it out, or give --move if ${!what} is meant"
    done
fi

if [[ -z $dry_run ]]; then
    needed=(spinapps.core.spinkube.dev certificates.cert-manager.io)
    [[ $overlay == nginx ]] || needed+=(gateways.gateway.networking.k8s.io)
    [[ -z $own_server ]] || needed+=(clusters.postgresql.cnpg.io)
    [[ -z $own_server || $overlay != gke* ]] || needed+=(objectstores.barmancloud.cnpg.io)
    for kind in "${needed[@]}"; do
        kubectl get customresourcedefinition "$kind" >/dev/null 2>&1 ||
            fail "the cluster has no $kind: install what docs/operations/install.md lists first"
    done
fi

# --- What is to be applied: the overlay with the site's own values --------------------------------------------------------

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R "$root/deploy" "$root/runtime-class" "$work"
folder=$work/deploy/overlays/$overlay
# Overlays that build on another have their site there.
site=$folder/site.env
[[ -f $site ]] || site=$work/deploy/overlays/gke/site.env
set_site() {
    [[ -n $2 ]] || return 0
    grep -v "^$1=" "$site" >"$work/site" || true
    printf '%s=%s\n' "$1" "$2" >>"$work/site"
    cp "$work/site" "$site"
}
set_site HOST "$host"
set_site IMAGE "$image"
set_site MIGRATE_IMAGE "$migrate_image"
set_site BACKUP_BUCKET "${BACKUP_BUCKET:-}"
set_site BACKUP_IDENTITY "${BACKUP_IDENTITY:-}"
set_site ACME_EMAIL "${ACME_EMAIL:-}"
host=$(sed -n 's/^HOST=//p' "$site")
if [[ -z $own_server ]]; then
    set_site DATABASE_HOST "$server"
    set_site DATABASE_NAME "$database"
    # In the place of backups too, which are that server's.
    sed -i 's#^  - \(.*components/\)backup$#  - \1external-database#' "$(dirname "$site")/kustomization.yaml"
    grep -q external-database "$(dirname "$site")/kustomization.yaml" ||
        sed -i 's#^  - \(.*components/\)site$#  - \1external-database\n&#' "$(dirname "$site")/kustomization.yaml"
fi

if [[ -z $uninstall ]]; then
    if grep -q 'sha256:0\{64\}$' "$site"; then
        fail "the images are not named: push them (docs/operations/install.md), and put their digests into ${site#"$work"/}, or give --image and --migrate-image"
    fi
    if [[ -n $own_server && -z $dry_run ]] && grep -q '^BACKUP_.*[/@]example' "$site"; then
        fail "nothing would be backed up: name your bucket and its identity in ${site#"$work"/}, or in BACKUP_BUCKET and BACKUP_IDENTITY (docs/operations/backup.md)"
    fi
fi

kubectl kustomize "$folder" >/dev/null || fail "deploy/overlays/$overlay cannot be rendered"

part() { printf 'app.kubernetes.io/component=%s' "$1"; }
apply() { change apply --kustomize "$folder" --selector "$(part "$1")"; }

if [[ -n $uninstall ]]; then
    say "taking the functions away: $overlay"
    for component in functions migration retirement; do
        change delete --kustomize "$folder" --selector "$(part "$component")" --ignore-not-found
    done
    say "the accounts, their database and the secrets stay. To delete them for good: kubectl delete namespace $namespace"
    exit 0
fi

# --- Secrets ------------------------------------------------------------------------------------------------------------

# The first that there is: the argument, the environment, what somebody types, what was deployed, something new.
choose() {
    local name=$1 given=$2 environment=$3 before=$4 made=$5
    if [[ $given != - ]]; then
        chosen=$given
    elif [[ -n $environment ]]; then
        chosen=$environment
    elif [[ -n $ask ]] && read -rsp "$name (empty: kept, or made up): " chosen && echo >&2 && [[ -n $chosen ]]; then
        :
    elif [[ -n $before ]]; then
        chosen=$before
    else
        chosen=$made
        if [[ -n $dry_run ]]; then say "$name: kept, or made up"; else say "$name: made up"; fi
    fi
}

# What is sealed under a key can be read by nobody once that has left its list.
keep_keys() {
    local name=$1 list=$2 before=$3 key
    [[ -z $drop_keys && -n $before ]] || return 0
    IFS=, read -ra keys <<<"$before"
    for key in "${keys[@]}"; do
        [[ -n $(shared_keys "$key" "$list") ]] ||
            fail "$name lacks a key that is deployed: put the new one before it (new,old), or give --drop-keys once nothing needs it (docs/operations/rotate-keys.md)"
    done
}

# A password in a URL (RFC 3986, section 2.3).
encoded() {
    local text=$1 LC_ALL=C index letter
    for ((index = 0; index < ${#text}; index++)); do
        letter=${text:index:1}
        case $letter in
            [A-Za-z0-9._~-]) printf '%s' "$letter" ;;
            *) printf '%%%02X' "'$letter" ;;
        esac
    done
}

password=${before_url#*://*:} password=${password%%@*}
owner_password=''
choose db-password "$given_password" "${POSTGRES_PASSWORD:-}" "-" ""
if [[ -n $own_server && $chosen != - ]]; then
    refuse_samples db-password "$chosen" "leave it out, and one is made up"
    password=$(encoded "$chosen")
elif [[ -z $own_server ]]; then
    [[ $chosen != - || -n $dry_run ]] || fail "db-password: the password of the owner on $server is needed"
    owner_password=$chosen
    refuse_samples db-password "$owner_password" "give the owner of the database another one (ALTER ROLE)"
    # The functions' own is another, and what was there is another database's.
    [[ $before_server == "$server" && $before_database == "$database" ]] || password=''
fi
password=${password:-$(openssl rand -hex 24)}
if [[ -n $own_server ]]; then place=accounts-pooler.$namespace.svc; else place=$server; fi

choose jwt-secret "$given_jwt" "${JWT_SECRET:-}" "$before_jwt_secret" "$(openssl rand -base64 32)"
jwt_secret=$chosen
check_key jwt-secret "$jwt_secret"
choose encryption-key "$given_key" "${ENCRYPTION_KEY:-}" "$before_encryption_key" "$(openssl rand -base64 32)"
encryption_key=$chosen
check_key encryption-key "$encryption_key"
keep_keys encryption-key "$encryption_key" "$before_encryption_key"
[[ -z $(shared_keys "$jwt_secret" "$encryption_key") ]] ||
    fail "jwt-secret and encryption-key have the same key: each must have its own"
if [[ -n ${ADMIN_TOKEN+set} ]]; then
    admin_token=$ADMIN_TOKEN
    refuse_samples ADMIN_TOKEN "$admin_token" "make one with \`openssl rand -base64 32\`"
    ((${#admin_token} == 0 || ${#admin_token} >= 32)) || fail "ADMIN_TOKEN has fewer than 32 characters"
elif [[ -n $is_there ]]; then
    admin_token=$before_admin_token
else
    choose ADMIN_TOKEN - "" "" "$(openssl rand -base64 32)"
    admin_token=$chosen
fi

# A Secret from name and value pairs, by way of standard input: nothing of it is an argument of a program. Applied by the server: the client
# would keep a copy of it in an annotation, and show it where the server refuses.
apply_secret() {
    local name=$1
    shift
    if [[ -n $dry_run ]]; then
        say "would apply the Secret $name"
        return
    fi
    {
        printf 'apiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\n  namespace: %s\n  labels:\n    app.kubernetes.io/part-of: cofrap\n' "$name" "$namespace"
        [[ $name != auth ]] ||
            printf '  annotations:\n    cofrap/overlay: %s\n    cofrap/server: %s\n    cofrap/database: %s\n' "$overlay" "$server" "$database"
        printf 'data:\n'
        while (($#)); do
            printf '  %s: %s\n' "$1" "$(printf '%s' "$2" | base64 --wrap=0)"
            shift 2
        done
    } | kubectl apply --server-side --force-conflicts --field-manager cofrap --filename - >/dev/null ||
        fail "the Secret $name was not applied"
    say "secret/$name"
}

# --- The steps ----------------------------------------------------------------------------------------------------------

say "deploying $overlay as https://$host"
apply namespace
# What was there before, for whoever has to go back.
if [[ -n $is_there && $encryption_key$jwt_secret != "$before_encryption_key$before_jwt_secret" ]]; then
    apply_secret auth-before database_url "$before_url" encryption_key "$before_encryption_key" jwt_secret "$before_jwt_secret" admin_token "$before_admin_token"
fi
apply_secret auth \
    database_url "postgres://${database}_functions:$password@$place:5432/$database?sslmode=require" \
    encryption_key "$encryption_key" jwt_secret "$jwt_secret" admin_token "$admin_token"
say "the secrets are in the Secret auth of the namespace $namespace: keep a copy of encryption_key where the backups are not"

if [[ -n $own_server ]]; then
    say "the database"
    apply database
    change wait --namespace "$namespace" --for=condition=Ready "cluster/$cluster" --timeout=15m
    authority=''
    if [[ -z $dry_run ]]; then
        authority=$(kubectl get secret accounts-authority --namespace "$namespace" --output 'jsonpath={.data.ca\.crt}' | base64 --decode)
        [[ $authority == *CERTIFICATE* ]] || fail "the Secret accounts-authority holds no certificate: is the database there?"
    fi
else
    authority=$(cat "${PGSSLROOTCERT:-/etc/ssl/certs/ca-certificates.crt}")
    apply_secret database-owner username "${POSTGRES_USER:-postgres}" password "$owner_password"
    apply_secret database-authority ca.crt "$authority"
fi
apply_secret authorities ca-certificates.crt "$authority
$(cat /etc/ssl/certs/ca-certificates.crt)"

say "the migration"
change delete job migrate --namespace "$namespace" --ignore-not-found
apply migration
if [[ -z $dry_run ]]; then
    # Until it says one or the other.
    for ((waited = 0; waited < 3600; waited += 5)); do
        state=$(kubectl get job migrate --namespace "$namespace" --output 'jsonpath={.status.conditions[?(@.status=="True")].type}') || state=''
        [[ $state != *Failed* ]] || {
            kubectl logs --namespace "$namespace" job/migrate --tail 50 >&2 || true
            fail "the migration failed: nothing that serves was changed"
        }
        [[ $state != *Complete* ]] || break
        sleep "${DEPLOY_POLL_SECONDS:-5}"
    done
    [[ $state == *Complete* ]] || fail "the migration takes longer than an hour: kubectl logs --namespace $namespace job/migrate"
fi

say "the functions"
# Pods are of one state of the Secrets: another is another name, so that applying starts them anew.
if [[ -z $dry_run ]]; then
    versions=$(kubectl get secret auth authorities --namespace "$namespace" --output 'jsonpath={.items[*].metadata.resourceVersion}')
    # Its list of components goes on where there is one.
    if grep -q '^components:' "$folder/kustomization.yaml"; then
        sed -i 's#^components:#&\n  - ./secrets#' "$folder/kustomization.yaml"
    else
        printf 'components:\n  - ./secrets\n' >>"$folder/kustomization.yaml"
    fi
    mkdir "$folder/secrets"
    cat >"$folder/secrets/kustomization.yaml" <<KUSTOMIZATION
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
patches:
  - target: {kind: SpinApp}
    patch: |
      - op: add
        path: /spec/podAnnotations
        value: {cofrap/secrets: "${versions// /-}"}
KUSTOMIZATION
fi
apply cluster
apply functions
# spin-operator makes the Deployments a moment later.
for app in auth auth-v1; do
    change wait --namespace "$namespace" --for=create "deployment/$app" --timeout=2m
    # Until spin-operator has told the Deployment, the state of the one before would do.
    [[ $overlay == *autopilot ]] ||
        change wait --namespace "$namespace" "--for=jsonpath={.spec.template.spec.containers[0].image}=$(sed -n 's/^IMAGE=//p' "$site")" "deployment/$app" --timeout=5m
    change rollout status --namespace "$namespace" "deployment/$app" --timeout=10m
done
change wait --namespace "$namespace" --for=condition=Ready certificate/public --timeout=15m

if [[ -n $dry_run ]]; then
    say "dry run: nothing was done"
elif [[ -n $login ]]; then
    say "a login through https://$host"
    trust=()
    if [[ $overlay == local ]]; then
        kubectl get secret operators-authority --namespace "$namespace" --output 'jsonpath={.data.ca\.crt}' | base64 --decode >"$work/ca.crt"
        trust=(--ca "$work/ca.crt")
    fi
    ADMIN_TOKEN='' python3 "$root/test/test_v2_functions.py" "${trust[@]}" "https://$host" ||
        fail "the functions are deployed, but a login through https://$host did not go well: does the name lead to the gateway's address?
       kubectl get gateway public --namespace $namespace"
fi
say "https://$host/"
