with decisions as (
    select distinct
        connector,
        source_id
    from {{ source('sync', 'conflicts') }}
    where decision in ('keep', 'link') and resolution_status = 'carried_out'
),

undos as (
    select distinct
        connector,
        source_id,
        undone_by
    from {{ source('sync', 'writes') }}
    where undone_by is not null
)

select
    pushes.source_id,
    pushes.entry_date,
    pushes.kimai_id,
    pushes.state,
    (pushes.asked ->> 'seconds')::numeric as asked_seconds,
    (pushes.base ->> 'duration_seconds')::numeric as base_seconds,
    -- What Kimai itself wrote into its answer, beside what was read from it.
    coalesce(pushes.base #>> '{raw,duration}', pushes.base ->> 'duration_seconds')::numeric as base_answer_seconds,
    pushes.operation = 'link' as is_linked,
    pushes.operation = 'link' or decisions.source_id is not null as is_taken_as_found,
    pushes.state = 'undone' or undos.source_id is not null as is_taken_back,
    pushes.facts_hash,
    pushes.updated_at,
    row(
        pushes.kimai_id,
        pushes.state,
        pushes.operation,
        pushes.asked ->> 'seconds',
        pushes.base ->> 'duration_seconds',
        pushes.base #>> '{raw,duration}',
        pushes.facts_hash,
        pushes.updated_at,
        decisions.source_id,
        undos.source_id
    )::text as row_version
from {{ source('sync', 'pushes') }} as pushes
left join decisions
    on pushes.connector = decisions.connector and pushes.source_id = decisions.source_id
left join undos
    on
        pushes.connector = undos.connector
        and pushes.source_id = undos.source_id
        and pushes.run_id = undos.undone_by
where pushes.connector = '{{ var("target") }}'
