//! Prepares the audit of version 8 and before for being the first partition of version 9's, while everybody goes on writing it: what
//! takes long is done in batches or beside the writers, and what locks the table (`V9__audit_partitions.sql`) looks at no row.

use crate::error::refused;
use crate::index;
use crate::patience::patiently;
use crate::version::{SCHEMA_VERSION, schema_of};
use anyhow::{Context, Result, bail};
use tokio_postgres::Client;

/// The last version whose audit is one table.
pub(crate) const BEFORE: i32 = 8;

/// Rows of a batch: each is a transaction, and so a wait of that length at most for who wants to change the same rows.
const BATCH: i64 = 20_000;

/// New rows get both numbers from here on, and a time.
const START: &str = "
    CREATE SCHEMA IF NOT EXISTS cofrap_audit;
    ALTER TABLE public.auth_logs_v2 ADD COLUMN IF NOT EXISTS wide_id BIGINT, ADD COLUMN IF NOT EXISTS xact_id BIGINT;
    CREATE TABLE IF NOT EXISTS public.audit_beyond (LIKE public.auth_logs_v2 INCLUDING DEFAULTS);
    CREATE OR REPLACE FUNCTION public.prepare_audit_row() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        NEW.wide_id := NEW.id;
        NEW.created_at := coalesce(NEW.created_at, now() AT TIME ZONE 'UTC');
        RETURN NEW;
    END $$;
    DROP TRIGGER IF EXISTS prepare_audit_row ON public.auth_logs_v2;
    CREATE TRIGGER prepare_audit_row BEFORE INSERT ON public.auth_logs_v2
        FOR EACH ROW EXECUTE FUNCTION public.prepare_audit_row();
    ALTER TABLE public.auth_logs_v2 DROP CONSTRAINT IF EXISTS audit_numbered, DROP CONSTRAINT IF EXISTS audit_before;
    -- What an earlier run put aside.
    WITH back AS (DELETE FROM public.audit_beyond b RETURNING b.*) INSERT INTO public.auth_logs_v2 SELECT b.* FROM back b;
    DO $$ DECLARE other text;
    BEGIN
        -- Accounts go, and their attempts stay.
        FOR other IN SELECT c.conname FROM pg_constraint c WHERE c.conrelid = 'public.auth_logs_v2'::regclass AND c.contype = 'f'
                     AND c.confdeltype <> 'n' LOOP
            EXECUTE format('ALTER TABLE public.auth_logs_v2 DROP CONSTRAINT %I', other);
        END LOOP;
        IF NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = 'public.auth_logs_v2'::regclass AND c.contype = 'f'
                       AND c.confrelid = 'public.users_v2'::regclass) THEN
            ALTER TABLE public.auth_logs_v2 ADD CONSTRAINT audit_account
                FOREIGN KEY (user_id) REFERENCES public.users_v2 (id) ON DELETE SET NULL NOT VALID;
        END IF;
    END $$";

/// Makes a key that is new hold for the rows that are there.
const VALIDATE_KEY: &str = "
    DO $$ BEGIN
        IF EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = 'public.auth_logs_v2'::regclass AND c.contype = 'f' AND NOT c.convalidated
                   AND c.conname = 'audit_account') THEN
            UPDATE public.auth_logs_v2 l SET user_id = NULL
                WHERE l.user_id IS NOT NULL AND NOT EXISTS (SELECT FROM public.users_v2 u WHERE u.id = l.user_id);
            ALTER TABLE public.auth_logs_v2 VALIDATE CONSTRAINT audit_account;
        END IF;
    END $$";

/// Gives the rows of a batch their wide numbers; how far it came, by the old ones.
const WIDEN: &str = "
    WITH batch AS (SELECT l.id FROM public.auth_logs_v2 l WHERE l.id > $1::int8 ORDER BY l.id LIMIT $2::int8),
    widened AS (
        UPDATE public.auth_logs_v2 l SET wide_id = l.id, created_at = coalesce(l.created_at, now() AT TIME ZONE 'UTC')
        FROM batch b WHERE l.id = b.id AND (l.wide_id IS NULL OR l.created_at IS NULL))
    SELECT max(id)::int8, count(*)::int8 FROM batch";

/// Those of `V9__audit_partitions.sql`, which adopts them, and the unique one of a partition.
const INDEXES: [(&str, &str); 8] = [
    (
        "idx_users_v2_unfinished",
        "CREATE INDEX CONCURRENTLY idx_users_v2_unfinished ON public.users_v2 (generated_at)
         WHERE state = 'provisional' AND login_counter = 0",
    ),
    ("before_id", "CREATE UNIQUE INDEX CONCURRENTLY before_id ON public.auth_logs_v2 (wide_id)"),
    ("before_account", "CREATE INDEX CONCURRENTLY before_account ON public.auth_logs_v2 (user_id, wide_id)"),
    (
        "before_nobody",
        "CREATE INDEX CONCURRENTLY before_nobody ON public.auth_logs_v2 (left(details ->> 'username', 50), wide_id) WHERE user_id IS NULL",
    ),
    (
        "before_refusals",
        "CREATE INDEX CONCURRENTLY before_refusals ON public.auth_logs_v2 (created_at) WHERE NOT success",
    ),
    (
        "before_names",
        "CREATE INDEX CONCURRENTLY before_names ON public.auth_logs_v2 (created_at)
         WHERE NOT success AND user_id IS NULL AND details ->> 'masked' IS NULL AND coalesce(details ->> 'known', 'false') <> 'true'
               AND (details ->> 'username' IS NOT NULL OR details ->> 'names' IS NOT NULL)",
    ),
    ("before_created_at", "CREATE INDEX CONCURRENTLY before_created_at ON public.auth_logs_v2 USING brin (created_at)"),
    (
        "before_xact_id",
        "CREATE INDEX CONCURRENTLY before_xact_id ON public.auth_logs_v2 (xact_id) WHERE xact_id IS NOT NULL",
    ),
];

/// Two months after tomorrow's: whatever a clock writes until the table is locked lies before it, and so does what it writes for a month where a
/// run is cut off in between. Rows beyond it go to a table of their own, which becomes the partition of what no month holds.
const SET_BOUND: &str = "
    SET LOCAL timezone = 'UTC';
    DO $$ DECLARE bound timestamp := date_trunc('month', now() AT TIME ZONE 'UTC' + interval '1 day') + interval '2 months';
    BEGIN
        LOCK TABLE public.auth_logs_v2 IN ACCESS EXCLUSIVE MODE;
        WITH beyond AS (DELETE FROM public.auth_logs_v2 l WHERE l.created_at >= bound RETURNING l.*)
        INSERT INTO public.audit_beyond SELECT b.* FROM beyond b;
        EXECUTE format('ALTER TABLE public.auth_logs_v2 ADD CONSTRAINT audit_before CHECK (created_at IS NOT NULL AND created_at < %L) NOT VALID', bound);
        ALTER TABLE public.auth_logs_v2 ADD CONSTRAINT audit_numbered CHECK (wide_id IS NOT NULL) NOT VALID;
    END $$";

/// Does it, and says how far it has come. What an earlier run did is not done again.
pub(crate) async fn prepare(client: &Client, progress: impl Fn(&str)) -> Result<()> {
    if is_partitioned(client).await? {
        return Ok(());
    }
    refuse_without_rights(client).await?;
    refuse_dependents(client).await?;
    patiently(client, START).await.context("cannot prepare the audit")?;
    client.batch_execute(VALIDATE_KEY).await.map_err(refused).context("cannot check whose attempts they are")?;
    let (mut last, mut done, mut said) = (i64::MIN, 0, 0);
    loop {
        let row = client
            .query_one(WIDEN, &[&last, &BATCH])
            .await
            .map_err(refused)
            .context("cannot widen the audit's numbers")?;
        let Some(reached) = row.get(0) else { break };
        last = reached;
        done += row.get::<_, i64>(1);
        if done >= said + 500_000 {
            said = done;
            progress(&format!("{done} rows of the audit have wide numbers"));
        }
    }
    for (name, statement) in INDEXES {
        if index::build(client, name, statement).await? && done > 500_000 {
            progress(&format!("the index {name} is built"));
        }
    }
    // Built beside writers, it leaves out what they wrote; until a vacuum it would be read whole.
    let summarize = "SELECT brin_summarize_new_values('public.before_created_at')";
    client.batch_execute(summarize).await.map_err(refused).context("cannot finish the index before_created_at")?;
    patiently(client, SET_BOUND).await.context("cannot bound the audit's first partition")?;
    let validate =
        "ALTER TABLE public.auth_logs_v2 VALIDATE CONSTRAINT audit_before, VALIDATE CONSTRAINT audit_numbered";
    client.batch_execute(validate).await.map_err(refused).context("cannot check the audit's rows")
}

/// Makes the partitions of the months to come.
pub(crate) async fn make_partitions(client: &Client) -> Result<()> {
    let call = format!("SELECT {}.keep_partitions('', 0, 0, 0)", schema_of(SCHEMA_VERSION));
    client.query_one(&call, &[]).await.map_err(refused).context("cannot make the audit's partitions").map(|_| ())
}

/// Takes back what holds for new rows alone, where the rest did not come.
pub(crate) async fn take_back(client: &Client) -> Result<()> {
    if is_partitioned(client).await? {
        return Ok(());
    }
    let unbind = "ALTER TABLE public.auth_logs_v2 DROP CONSTRAINT IF EXISTS audit_numbered, DROP CONSTRAINT IF EXISTS audit_before";
    patiently(client, unbind).await
}

async fn is_partitioned(client: &Client) -> Result<bool> {
    let question = "SELECT relkind = 'p' FROM pg_class WHERE oid = 'public.auth_logs_v2'::regclass";
    Ok(client.query_one(question, &[]).await.map_err(refused)?.get(0))
}

/// Refuses who could not give the audit to its keeper in the end.
async fn refuse_without_rights(client: &Client) -> Result<()> {
    let may = "SELECT r.rolsuper OR NOT r.rolcreaterole OR has_schema_privilege('public', 'CREATE WITH GRANT OPTION')
               FROM pg_roles r WHERE r.rolname = current_user";
    if !client.query_one(may, &[]).await.map_err(refused)?.get::<_, bool>(0) {
        bail!(
            "the URL's user must own the database, or may give CREATE on the schema public to others: let its owner GRANT CREATE ON SCHEMA public TO it WITH GRANT OPTION"
        );
    }
    Ok(())
}

/// Views and foreign keys of other programs would go on with the old table, which is one partition then; what else was added to it would be
/// lost.
async fn refuse_dependents(client: &Client) -> Result<()> {
    let dependents = "
        SELECT string_agg(DISTINCT name, ', ') FROM (
            SELECT r.ev_class::regclass::text AS name FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
            WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = 'public.auth_logs_v2'::regclass
                  AND r.ev_class <> 'public.auth_logs_v2'::regclass
            UNION ALL SELECT c.conrelid::regclass::text FROM pg_constraint c
            WHERE c.contype = 'f' AND c.confrelid = 'public.auth_logs_v2'::regclass
            UNION ALL SELECT i.inhrelid::regclass::text FROM pg_inherits i WHERE i.inhparent = 'public.auth_logs_v2'::regclass
            UNION ALL SELECT i.inhparent::regclass::text FROM pg_inherits i WHERE i.inhrelid = 'public.auth_logs_v2'::regclass
            UNION ALL SELECT concat('the trigger ', t.tgname) FROM pg_trigger t
            WHERE t.tgrelid = 'public.auth_logs_v2'::regclass AND NOT t.tgisinternal AND t.tgname <> 'prepare_audit_row'
            UNION ALL SELECT concat('the policy ', p.polname) FROM pg_policy p WHERE p.polrelid = 'public.auth_logs_v2'::regclass
            UNION ALL SELECT 'row level security' FROM pg_class c WHERE c.oid = 'public.auth_logs_v2'::regclass AND c.relrowsecurity
            UNION ALL SELECT concat('the publication ', p.pubname) FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
            WHERE r.prrelid = 'public.auth_logs_v2'::regclass
            UNION ALL SELECT concat('the constraint ', c.conname) FROM pg_constraint c
            WHERE c.conrelid = 'public.auth_logs_v2'::regclass AND c.conname NOT IN ('audit_numbered', 'audit_before')
                  AND (c.contype IN ('c', 'u', 'x') OR c.contype = 'f' AND (
                      c.confrelid <> 'public.users_v2'::regclass OR c.conkey <> ARRAY(
                          SELECT a.attnum FROM pg_attribute a WHERE a.attrelid = c.conrelid AND a.attname = 'user_id')))
            UNION ALL SELECT concat('the column ', a.attname, CASE WHEN a.attgenerated <> '' THEN ', which is computed,'
                                                                   WHEN a.attacl IS NOT NULL THEN ', which has rights of its own,'
                                                                   ELSE ' of another type than jsonb' END) FROM pg_attribute a
            WHERE a.attrelid = 'public.auth_logs_v2'::regclass AND a.attnum > 0 AND NOT a.attisdropped
                  AND (a.attgenerated <> '' OR a.attacl IS NOT NULL OR a.attname = 'details' AND a.atttypid <> 'jsonb'::regtype)
            ) dependents";
    match client.query_one(dependents, &[]).await.map_err(refused)?.get::<_, Option<String>>(0) {
        Some(names) => bail!(
            "auth_logs_v2 becomes a partitioned table, which {names} would not survive: take it away, and make it anew afterwards"
        ),
        None => Ok(()),
    }
}
