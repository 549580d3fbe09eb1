{{ config(materialized='view') }}

-- Names are looked up when they are asked for, so that a customer who was renamed or merged needs no day anew.
select
    entries.*, -- noqa: AM04
    date_trunc('month', entries.entry_date)::date as booking_month,
    coalesce(projects.customer_id, entries.planned_customer_id, organizations.customer_id) as customer_id,
    coalesce(customers.name, organizations.organization, '{{ var("fallback_customer") | replace("'", "''") }}')
        as customer,
    coalesce(entries.agent, agents.agent, users.name, 'unknown') as agent_name,
    coalesce(entries.agent_email, agents.agent_email, users.email, '') as agent_address,
    coalesce(activities.activity, '(no type)') as activity
from {{ ref('fct_time_entries') }} as entries
left join {{ source('kimai', 'projects') }} as projects
    on entries.kimai_project_id = projects.id and projects.connector = '{{ var("target") }}'
left join {{ ref('stg_organization_customers') }} as organizations
    on entries.organization_id = organizations.organization_id
left join {{ source('kimai', 'customers') }} as customers
    on
        coalesce(projects.customer_id, entries.planned_customer_id, organizations.customer_id) = customers.id
        and customers.connector = '{{ var("target") }}'
left join {{ ref('dim_agent') }} as agents on entries.agent_id = agents.agent_id
left join {{ source('kimai', 'users') }} as users
    on entries.kimai_user_id = users.id and users.connector = '{{ var("target") }}'
left join {{ ref('dim_activity') }} as activities on entries.activity_type_id = activities.activity_type_id
