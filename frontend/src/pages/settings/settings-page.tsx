import { NavLink, Outlet } from 'react-router'
import { PageBody, PageHeader } from '@/components/page'
import { cn } from '@/lib/cn'

const SECTIONS = [
  { to: '/settings/pools', label: 'Pools' },
  { to: '/settings/learning', label: 'Learning' },
  { to: '/settings/maintenance', label: 'Maintenance' },
  { to: '/settings/workers', label: 'Workers' },
  { to: '/settings/server', label: 'Server' },
]

export function SettingsPage() {
  return (
    <>
      <PageHeader title="Settings" />
      <PageBody className="pt-3.5">
        <nav
          aria-label="Settings"
          className="mb-3.5 flex gap-[18px] overflow-x-auto border-b border-border"
        >
          {SECTIONS.map(({ to, label }) => (
            <NavLink
              key={to}
              to={to}
              className={({ isActive }) =>
                cn(
                  '-mb-px border-b-2 pt-[9px] pb-2 font-medium whitespace-nowrap -outline-offset-2',
                  isActive
                    ? 'border-foreground font-semibold text-foreground'
                    : 'border-transparent text-secondary-foreground hover:text-foreground',
                )
              }
            >
              {label}
            </NavLink>
          ))}
        </nav>
        <Outlet />
      </PageBody>
    </>
  )
}
