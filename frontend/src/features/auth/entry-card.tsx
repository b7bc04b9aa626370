import type { ReactNode } from 'react'
import { Logo } from '@/components/logo'
import { Card } from '@/components/ui/card'

/** The frame of the pages before sign-in. */
export function EntryCard({
  title,
  intro,
  children,
}: {
  title: string
  intro?: ReactNode
  children: ReactNode
}) {
  return (
    <main className="grid min-h-dvh place-items-center p-4">
      <Card className="w-full max-w-[380px] p-6">
        <div className="mb-5 flex items-center gap-2.5 text-[15px] font-semibold">
          <Logo className="size-7" />
          FlexiRoaster
        </div>
        <h1 className="text-title font-semibold tracking-[-0.012em]">{title}</h1>
        {intro && <p className="mt-1 text-muted-foreground">{intro}</p>}
        <div className="mt-5">{children}</div>
      </Card>
    </main>
  )
}
