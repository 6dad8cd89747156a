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
#   --uninstall      takes the functions away; accounts, their database and the secrets stay
#   --help
#
# Secrets are kept in the Secret `auth` of the namespace `cofrap`, and nowhere else: not in a file, not in a program's arguments.

# Not even where somebody traces this.
{ set +x; } 2>/dev/null
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
namespace=cofrap
overlay=gke host='' image='' migrate_image='' dry_run='' login=1 uninstall='' ask=''

say() { printf '==> %s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
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
        --help) usage && exit 0 ;;
        --*) fail "there is no option $1 (--help lists them)" ;;
        *) arguments+=("$1") && shift ;;
    esac
done
((${#arguments[@]} <= 4)) || fail "more than four arguments (--help)"
[[ $overlay =~ ^[a-z0-9-]+$ && -f $root/deploy/overlays/$overlay/kustomization.yaml ]] ||
    fail "there is no overlay $overlay in deploy/overlays: $(cd "$root/deploy/overlays" && echo *)"

server=${arguments[0]:--} given_password=${arguments[1]:--} given_jwt=${arguments[2]:--} given_key=${arguments[3]:--}
for given in "$given_password" "$given_jwt" "$given_key"; do
    if [[ $given != - ]]; then
        warn "a secret given as an argument is for every user of this machine to see (ps), and in the shell's history: use - and the environment"
        break
    fi
done
[[ $server == - ]] && server=${POSTGRES_HOST:-postgres}
[[ $server =~ ^[A-Za-z0-9.-]+$ ]] || fail "serveur-db: a host name is expected, without a port"
own_server='' cluster=accounts
[[ $server == postgres ]] && own_server=1
# What a restoration made in the place of the first.
[[ $overlay == *-recovery ]] && cluster=accounts-restored

# Samples of documents and of tutorials are known to everybody.
refuse_samples() {
    local name=$1 value=${2,,} remedy=$3
    case $value in
        secret | secret[0-9]* | password | password[0-9]* | motdepasse* | changeme | change-me | admin | postgres | example | test | azerty* | qwerty* | *votre-cle* | *your-secret* | *super-secur* | *supersecret*)
            fail "$name is a sample that everybody knows: $remedy"
            ;;
    esac
}

check_key() {
    local name=$1 list=$2 key
    local remedy="make one with \`openssl rand -base64 32\`, or leave it out"
    IFS=, read -ra keys <<<"$list"
    for key in "${keys[@]}"; do
        refuse_samples "$name" "$key" "$remedy"
        # Either alphabet, as Fernet's keys have the one for URLs.
        [[ $(printf '%s' "$key" | tr -- '-_' '+/' | base64 --decode 2>/dev/null | wc -c) == 32 ]] ||
            fail "$name is not 32 bytes in base64: $remedy"
    done
}

# What is given is looked at before anything is asked of a cluster.
if [[ -n $own_server && $given_password != - ]]; then refuse_samples db-password "$given_password" "leave it out, and one is made up"; fi
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
((${minor:-0} >= 27)) || fail "kubectl 1.$minor is too old: 1.27 or newer is needed"

# What changes the cluster goes through here; what only looks does not.
change() {
    if [[ -n $dry_run ]]; then
        say "would run: kubectl $*"
        # What would have been given to it.
        [[ -t 0 ]] || cat >/dev/null
    else
        kubectl "$@"
    fi
}

if [[ -z $dry_run ]]; then
    kubectl get --raw /readyz >/dev/null || fail "no cluster answers: which one does \`kubectl config current-context\` name?"
    needed=(spinapps.core.spinkube.dev certificates.cert-manager.io)
    [[ $overlay == nginx ]] || needed+=(gateways.gateway.networking.k8s.io)
    [[ -z $own_server ]] || needed+=(clusters.postgresql.cnpg.io)
    for kind in "${needed[@]}"; do
        kubectl get customresourcedefinition "$kind" >/dev/null 2>&1 ||
            fail "the cluster has no $kind: install what docs/operations/install.md lists first"
    done
fi

# --- What is to be applied: the overlay with the site's own values ------------------------------------------------------

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R "$root/deploy" "$work/deploy"
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
host=$(sed -n 's/^HOST=//p' "$site")
if [[ -z $own_server ]]; then
    set_site DATABASE_HOST "$server"
    set_site DATABASE_NAME "${POSTGRES_DB:-mspr2_cofrap}"
    sed -i 's#^  - \(.*components/\)site$#  - \1external-database\n&#' "$(dirname "$site")/kustomization.yaml"
fi

if [[ -z $uninstall ]] && grep -q 'sha256:0\{64\}$' "$site"; then
    fail "the images are not named: push them (docs/operations/install.md), and put their digests into ${site#"$work"/}, or give --image and --migrate-image"
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

# What the Secret `auth` has under a name, if it is there.
deployed() {
    [[ -z $dry_run ]] || return 0
    kubectl get secret auth --namespace "$namespace" --ignore-not-found --output "jsonpath={.data.$1}" | base64 --decode
}

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
        say "$name: made up"
    fi
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

url_before=$(deployed database_url)
password_before=${url_before#*://*:} password_before=${password_before%%@*}
if [[ -n $own_server ]]; then
    choose db-password "$given_password" "${POSTGRES_PASSWORD:-}" "" ""
    if [[ -z $chosen ]]; then
        password=${password_before:-$(openssl rand -hex 24)}
    else
        refuse_samples db-password "$chosen" "leave it out, and one is made up"
        password=$(encoded "$chosen")
    fi
    database=mspr2_cofrap place=accounts-pooler.$namespace.svc
else
    choose db-password "$given_password" "${POSTGRES_PASSWORD:-}" "" ""
    owner_password=$chosen
    [[ -n $owner_password || -n $dry_run ]] || fail "db-password: the password of the owner on $server is needed"
    refuse_samples db-password "$owner_password" "give the owner of the database another one (ALTER ROLE)"
    password=${password_before:-$(openssl rand -hex 24)}
    database=${POSTGRES_DB:-mspr2_cofrap} place=$server
fi
choose jwt-secret "$given_jwt" "${JWT_SECRET:-}" "$(deployed jwt_secret)" "$(openssl rand -base64 32)"
check_key jwt-secret "$chosen"
jwt_secret=$chosen
choose encryption-key "$given_key" "${ENCRYPTION_KEY:-}" "$(deployed encryption_key)" "$(openssl rand -base64 32)"
check_key encryption-key "$chosen"
encryption_key=$chosen
[[ $jwt_secret != "$encryption_key" ]] || fail "jwt-secret and encryption-key are the same: each must be a key of its own"
if [[ -n ${ADMIN_TOKEN+set} ]]; then
    admin_token=$ADMIN_TOKEN
    refuse_samples ADMIN_TOKEN "$admin_token" "make one with \`openssl rand -base64 32\`"
    ((${#admin_token} == 0 || ${#admin_token} >= 32)) || fail "ADMIN_TOKEN has fewer than 32 characters"
else
    choose ADMIN_TOKEN - "" "$(deployed admin_token)" "$(openssl rand -base64 32)"
    admin_token=$chosen
fi

# A Secret from name and value pairs, by way of standard input: nothing of it is an argument of a program.
apply_secret() {
    local name=$1
    shift
    {
        printf 'apiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\n  namespace: %s\n  labels:\n    app.kubernetes.io/part-of: cofrap\ndata:\n' "$name" "$namespace"
        while (($#)); do
            printf '  %s: %s\n' "$1" "$(printf '%s' "$2" | base64 --wrap=0)"
            shift 2
        done
    } | change apply --filename -
}

# --- The steps ----------------------------------------------------------------------------------------------------------

say "deploying $overlay as https://$host"
apply namespace
[[ -n $dry_run ]] && before='' || before=$(kubectl get secret auth --namespace "$namespace" --ignore-not-found --output 'jsonpath={.metadata.resourceVersion}')
apply_secret auth \
    database_url "postgres://${database}_functions:$password@$place:5432/$database?sslmode=require" \
    encryption_key "$encryption_key" jwt_secret "$jwt_secret" admin_token "$admin_token"
say "the secrets are in the Secret auth of the namespace $namespace: keep a copy of encryption_key where the backups are not"

if [[ -n $own_server ]]; then
    say "the database"
    apply database
    change wait --namespace "$namespace" --for=condition=Ready "cluster/$cluster" --timeout=15m
    authority=''
    [[ -n $dry_run ]] || authority=$(kubectl get secret "$cluster-ca" --namespace "$namespace" --output 'jsonpath={.data.ca\.crt}' | base64 --decode)
else
    authority=$(cat "${PGSSLROOTCERT:-/etc/ssl/certs/ca-certificates.crt}")
    apply_secret accounts-app username "${POSTGRES_USER:-postgres}" password "$owner_password"
    apply_secret accounts-ca ca.crt "$authority"
fi
apply_secret authorities ca-certificates.crt "$authority
$(cat /etc/ssl/certs/ca-certificates.crt)"

say "the migration"
change delete job migrate --namespace "$namespace" --ignore-not-found
apply migration
change wait --namespace "$namespace" --for=condition=complete job/migrate --timeout=60m

say "the functions"
apply functions
if [[ -n $before && $(kubectl get secret auth --namespace "$namespace" --output 'jsonpath={.metadata.resourceVersion}') != "$before" ]]; then
    say "a secret changed: starting the pods anew"
    change rollout restart --namespace "$namespace" deployment/auth deployment/auth-v1
fi
# spin-operator makes the Deployments a moment later.
for app in auth auth-v1; do
    change wait --namespace "$namespace" --for=create "deployment/$app" --timeout=2m
    change rollout status --namespace "$namespace" "deployment/$app" --timeout=10m
done
change wait --namespace "$namespace" --for=condition=Ready certificate/public --timeout=15m

if [[ -n $dry_run ]]; then
    say "dry run: nothing was done"
elif [[ -n $login ]]; then
    say "a login through https://$host"
    ADMIN_TOKEN='' python3 "$root/test/test_v2_functions.py" "https://$host" ||
        fail "the functions are deployed, but a login through https://$host did not go well: does the name lead to the gateway's address?
       kubectl get gateway public --namespace $namespace"
fi
say "https://$host/"
