select
    entry_date,
    key as line_key,
    source_id,
    kimai_id,
    status,
    action,
    reason,
    decided,
    minutes,
    facts_hash,
    (draft #>> '{project,customer,id}')::bigint as customer_id,
    reconciled_at,
    row(
        kimai_id, status, action, reason, decided, minutes, draft #>> '{project,customer,id}', facts_hash, reconciled_at
    )::text as row_version
from {{ source('sync', 'reconciliation_results') }}
where connector = '{{ var("target") }}'
