import { Fragment, type ReactNode } from 'react'
import { Link } from 'react-router'
import { cn } from '@/lib/cn'

type Crumb = { label: string; to: string }

type PageHeaderProps = { title: string; crumbs?: Crumb[]; children?: ReactNode }

const NO_CRUMBS: Crumb[] = []

/** The bar at the top: where you are, and what you can do here. */
export function PageHeader({ title, crumbs = NO_CRUMBS, children }: PageHeaderProps) {
  return (
    <header className="flex min-h-14 flex-wrap items-center gap-x-3 gap-y-2 border-b border-border bg-card px-6 py-2.5 max-tablet:px-3.5">
      <div className="flex min-w-0 items-center gap-[7px] text-muted-foreground">
        {crumbs.map((crumb) => (
          <Fragment key={crumb.to}>
            <Link to={crumb.to} className="truncate text-link hover:underline">
              {crumb.label}
            </Link>
            <span aria-hidden="true">/</span>
          </Fragment>
        ))}
        <h1
          className={cn(
            'truncate font-semibold tracking-[-0.012em] text-foreground',
            crumbs.length > 0 ? 'text-[15px]' : 'text-title',
          )}
        >
          {title}
        </h1>
      </div>
      <div className="ml-auto flex flex-wrap items-center gap-2.5 max-tablet:ml-0 max-tablet:empty:hidden">
        {children}
      </div>
    </header>
  )
}

export function PageBody({ className, children }: { className?: string; children: ReactNode }) {
  return (
    <main
      id="content"
      tabIndex={-1}
      className={cn(
        'max-w-[1480px] px-6 pt-[18px] pb-8 outline-none max-tablet:px-3.5 max-tablet:pt-3 max-tablet:pb-24',
        className,
      )}
    >
      {children}
    </main>
  )
}
