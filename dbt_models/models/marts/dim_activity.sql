{{ config(materialized='lasting_view') }}

select
    types.id as activity_type_id,
    types.name as activity,
    types.active as is_active,
    mappings.kimai_activity_id,
    activities.name as kimai_activity
from {{ source('zammad', 'activity_types') }} as types
left join {{ source('sync', 'activity_mappings') }} as mappings
    on types.id = mappings.type_id and mappings.organization_id is null
left join {{ source('kimai', 'activities') }} as activities
    on mappings.kimai_activity_id = activities.id and activities.connector = '{{ var("target") }}'
where types.connector = '{{ var("source") }}'
