with results as (
    select
        *,
        draft -> 'desired' as desired
    from {{ source('sync', 'reconciliation_results') }}
    where connector = '{{ var("target") }}'
),

lines as (
    select
        results.*,
        (results.draft #>> '{project,customer,id}')::bigint as customer_id,
        {{ account(
            "(results.desired ->> 'user_id')",
            "coalesce(results.desired ->> 'project_id', numbers.project_id::text, results.desired ->> 'project_number')",
            "(results.desired ->> 'activity_id')",
        ) }} as account
    from results
    -- A project that was not made yet when this was planned is known by its number.
    left join {{ ref('stg_project_numbers') }} as numbers
        on results.desired ->> 'project_number' = numbers.project_number
)

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
    rounding_minutes,
    facts_hash,
    customer_id,
    account,
    reconciled_at,
    row(
        kimai_id,
        status,
        action,
        reason,
        decided,
        minutes,
        rounding_minutes,
        customer_id,
        account,
        facts_hash,
        reconciled_at
    )::text as row_version
from lines
